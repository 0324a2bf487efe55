"""Whether ``wam embed DIR`` and ``wam detect DIR`` keep the CPUs busy, against the bare networks and codecs.

    python scripts/throughput.py --count 500 --photos PHOTOS         # about 10 minutes on two idle cores
    python scripts/throughput.py --count 12                          # a trial on the packaged samples

Writes photos of 1 to 2 megapixels to a temporary folder, takes the bare steps on every ``--sample``-th of them (one
thread, nothing in between), then runs the commands themselves on all, each in a process of its own. Both are counted in
CPU seconds, user and system, of all their threads, so that other work on the machine does not count.

embed: decode, mark, encode, read back, detect (the self-check); detect: decode, detect, on what embed wrote. Of mark
and detect, what the networks' layers take is told too; the rest is rendering the pattern, and the search for poses.

efficiency   CPU seconds of the bare steps / all CPU seconds of the command, its start included: what is not spent on
             figures of quality, ids, manifest, files, threads
busy         CPU seconds of the command / (wall seconds x workers), and the same with the time that its threads were
             ready but had to wait for a CPU, which is what an idle machine would give

Memory is sampled while a command runs: flat means that the second half of the run grows by less than 5%.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from payload import bits_from_word
from wam.jobs.engines.local import default_workers
from wam.pictures.files import encode_image, read_image
from wam.watermarker import Watermarker, load

SAMPLES = Path(__file__).resolve().parent.parent / "wam" / "samples"
PIXELS = (1_000_000, 2_000_000)  # of the smallest and the largest photo
TARGET = 0.85  # of the CPU seconds, what the bare steps are to be
LAYERS = "layers"  # of the networks: within the steps, not one of them
INTERVAL = 0.25  # seconds between looks at the running command
FLAT = 0.05  # growth of the memory over the second half of the run that counts as none
MIB = 1 << 20


@dataclass
class Watched:
    """The command's process: seconds since its start, resident bytes at each, and what its threads used of CPUs."""

    times: list[float] = field(default_factory=list)
    resident: list[int] = field(default_factory=list)
    ready: dict[str, int] = field(default_factory=dict)  # nanoseconds computed or waited for a CPU, by thread
    wall: float = 0.0
    cpu: float = 0.0
    failed: int = 0  # photos that could not be marked, or in which nothing was found

    def look(self, process: int, started: float) -> None:
        """One sample; a process or thread that has just ended is left as it was."""
        folder = Path(f"/proc/{process}")
        with suppress(OSError, ValueError, IndexError):
            pages = int((folder / "statm").read_text().split()[1])
            self.times.append(time.perf_counter() - started)
            self.resident.append(pages * os.sysconf("SC_PAGE_SIZE"))
        for path in folder.glob("task/*/schedstat"):
            with suppress(OSError, ValueError):
                computed, waited, _ = map(int, path.read_text().split())
                self.ready[path.parent.name] = computed + waited


def make_photos(folder: Path, count: int, photos: list[Path]) -> None:
    """Photos of 1 to 2 megapixels, JPEG quality 90, no two alike: others of the corpus, or other cuts of one."""
    rng = np.random.default_rng(0)
    pixels = rng.permutation(np.linspace(*PIXELS, max(count, 2)))  # in no order, or memory would grow with the photos
    for number in range(count):
        with Image.open(photos[number % len(photos)]) as opened:
            photo = opened.convert("RGB")
        side = rng.uniform(0.8, 1.0)  # of each cut
        width, height = round(photo.width * side), round(photo.height * side)
        left, top = (int(rng.integers(room + 1)) for room in (photo.width - width, photo.height - height))
        factor = (pixels[number] / (width * height)) ** 0.5
        size = (round(width * factor), round(height * factor))
        cut = photo.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))
        cut.save(folder / f"{number:04}.jpg", quality=90)


class Bare:
    """CPU seconds of the bare steps, and of the layers of the networks within them."""

    def __init__(self, marker: Watermarker) -> None:
        self.marker = marker
        self.seconds: dict[str, float] = {}
        self.layers = 0.0
        self._began = 0.0
        for name in ("embedder", "extractor", "mask_head"):
            network = getattr(marker.model, name)
            network.register_forward_pre_hook(self._begin)
            network.register_forward_hook(self._end)

    def embed(self, paths: list[Path]) -> dict[str, float]:
        """By step of marking without ids, files, or anything between the steps."""
        faint = self.marker.model.description.faint
        for word, path in enumerate(paths):
            picture = self._timed("decode", read_image, path)
            marked = self._timed("mark", self.marker.embed, picture.pixels, bits_from_word(word)).image
            content, _ = self._timed("encode", encode_image, marked, like=picture, format="JPEG")
            saved = self._timed("read back", read_image, content)
            self._timed("detect", self.marker.detect, saved.pixels, max_log10_p=faint)
        return self._taken()

    def detect(self, paths: list[Path]) -> dict[str, float]:
        """By step of reading."""
        faint = self.marker.model.description.faint
        for path in paths:
            picture = self._timed("decode", read_image, path)
            self._timed("detect", self.marker.detect, picture.pixels, max_log10_p=faint)
        return self._taken()

    def _timed(self, step: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.process_time()
        result = work(*arguments, **options)
        self.seconds[step] = self.seconds.get(step, 0.0) + time.process_time() - started
        return result

    def _taken(self) -> dict[str, float]:
        taken = {**self.seconds, LAYERS: self.layers}
        self.seconds, self.layers = {}, 0.0
        return taken

    def _begin(self, *_: Any) -> None:
        self._began = time.process_time()

    def _end(self, *_: Any) -> None:
        self.layers += time.process_time() - self._began


def run_command(*arguments: str | Path, workers: int) -> Watched:
    """``wam`` with these arguments, watched; raises ``CalledProcessError`` if it fails, other than on single photos."""
    command = [
        sys.executable,
        "-m",
        "wam",
        *map(str, arguments),
        "--device",
        "cpu",
        "--workers",
        str(workers),
        "--json",
    ]
    watched, before = Watched(), resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with tempfile.TemporaryFile("w+") as lines, subprocess.Popen(command, stdout=lines) as process:
        while process.poll() is None:
            watched.look(process.pid, started)
            time.sleep(INTERVAL)
        watched.wall = time.perf_counter() - started
        lines.seek(0)
        photos = [json.loads(line) for line in lines]
    watched.failed = sum(map(has_failed, photos))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    watched.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode not in (0, 1, 2) or not photos:  # 2 also where options are wrong, before any photo
        raise subprocess.CalledProcessError(process.returncode, command)
    return watched


def has_failed(line: dict[str, Any]) -> bool:
    """Whether a command's object says that a photo could not be marked or read, or that it carries no mark."""
    return line["error"] is not None or line.get("watermarks") == []


def memory(watched: Watched) -> dict[str, float]:
    """Peak in MiB, growth per minute in MiB by least squares over the second half, and that as a share of the mean."""
    times, resident = np.array(watched.times), np.array(watched.resident) / MIB
    half = times >= times[-1] / 2
    slope = float(np.polyfit(times[half], resident[half], 1)[0]) if half.sum() > 2 else 0.0
    growth = slope * float(times[-1] - times[half][0]) / float(resident[half].mean())
    return {"peak_mib": float(resident.max()), "mib_per_minute": 60 * slope, "growth": growth}


def figures(count: int, workers: int, steps: dict[str, float], sample: int, start: float, watched: Watched) -> Any:
    """All that is reported, times in CPU milliseconds a photo; ``start``: CPU seconds of starting the command."""
    bare = {step: 1000 * seconds / sample for step, seconds in steps.items() if step != LAYERS}
    command = 1000 * watched.cpu / count
    ready = sum(watched.ready.values()) / 1e9
    return {
        "photos": count,
        "failed": watched.failed,
        "workers": workers,
        "bare_ms": bare,
        "bare_sum_ms": sum(bare.values()),
        "layers_ms": 1000 * steps[LAYERS] / sample,
        "command_ms": command,
        "start_s": start,
        "efficiency": sum(bare.values()) / command,
        "wall_s": watched.wall,
        "photos_per_s": count / watched.wall,
        "busy": watched.cpu / watched.wall / workers,
        "busy_or_waiting": ready / watched.wall / workers,
        "memory": memory(watched),
    }


def report(name: str, found: Any) -> None:
    """A line for each step and one for each claim."""
    start = 1000 * found["start_s"] / found["photos"]
    rows = {**found["bare_ms"], "start": start, "the rest": found["command_ms"] - found["bare_sum_ms"] - start}
    print(f"wam {name}: {found['command_ms']:.0f} ms CPU a photo")
    for step, value in rows.items():
        print(f"  {step:10} {value:7.0f} ms CPU a photo  {value / found['command_ms']:6.1%} of the command")
    print(f"  networks' layers alone, within the steps: {found['layers_ms']:.0f} ms")
    verdict = f"{'met' if found['efficiency'] >= TARGET else 'missed'}: {TARGET:.0%}"
    print(f"  efficiency {found['efficiency']:.1%}: networks and codecs in the CPU time of the command ({verdict})")
    print(f"  {found['photos']} photos, {found['failed']} of them failed, in {found['wall_s']:.1f} s, "
          f"{found['photos_per_s']:.2f}/s")  # fmt: skip
    print(f"  {found['workers']} workers computed {found['busy']:.1%} of the time, "
          f"computed or waited for a CPU {found['busy_or_waiting']:.1%}")  # fmt: skip
    kept = found["memory"]
    flat = "flat" if abs(kept["growth"]) < FLAT else "NOT FLAT"
    print(f"  memory: peak {kept['peak_mib']:.0f} MiB, second half {kept['mib_per_minute']:+.1f} MiB a minute, "
          f"{kept['growth']:+.1%} in all ({flat})")  # fmt: skip


def measure(
    bare: Callable[[list[Path]], dict[str, float]], folder: Path, arguments: Any, run: Callable[..., Watched]
) -> Any:
    """The figures of one command on a folder; ``run`` runs it on that folder, or on another."""
    paths = sorted(path for path in folder.iterdir() if path.suffix == ".jpg")
    bare(paths[:1])  # what is made once: imports, tables
    two = folder.with_name(f"two of {folder.name}")
    two.mkdir()
    for path in paths[:2]:  # of one file, the networks would use threads of their own
        shutil.copy(path, two)
    start = run(two, workers=1).cpu - sum_of(bare(paths[:2]))
    chosen = paths[:: arguments.sample]
    before = bare(chosen)
    watched = run(folder, workers=arguments.workers)
    after = bare(chosen)  # again: what else runs may have changed
    steps = {step: before[step] + after[step] for step in before}
    return figures(len(paths), arguments.workers, steps, 2 * len(chosen), start, watched)


def sum_of(steps: dict[str, float]) -> float:
    """CPU seconds of all steps; the layers are within them."""
    return sum(seconds for step, seconds in steps.items() if step != LAYERS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500, help="photos")
    parser.add_argument("--photos", type=Path, default=SAMPLES, help="folder they are made of")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--sample", type=int, default=5, help="take the bare steps on every so many photos")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    arguments = parser.parse_args()
    sources = sorted(path for path in arguments.photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    if not sources or arguments.count < 2:
        parser.error(
            f"--photos {arguments.photos}: expected photos and a count of at least 2, found {len(sources)} photos"
        )
    torch.set_num_threads(1)
    bare = Bare(load(device="cpu"))
    with tempfile.TemporaryDirectory() as name:
        photos, out, registry = Path(name) / "photos", Path(name) / "out", Path(name) / "registry.sqlite"
        photos.mkdir()
        make_photos(photos, arguments.count, sources)

        def embed(folder: Path, *, workers: int) -> Watched:
            target = out if folder == photos else folder / "out"
            options = ("--asset-from", "name", "--owner", "acme", "--registry", registry)
            return run_command("embed", folder, "--out-dir", target, *options, workers=workers)

        def detect(folder: Path, *, workers: int) -> Watched:
            return run_command("detect", folder, "--registry", registry, workers=workers)

        found = {"embed": measure(bare.embed, photos, arguments, embed)}
        report("embed", found["embed"])
        found["detect"] = measure(bare.detect, out, arguments, detect)
        report("detect", found["detect"])
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
