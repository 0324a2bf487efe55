"""Whether `wam embed DIR` keeps the CPUs busy, and where its time goes, against the bare network and codecs.

    python scripts/throughput.py --count 500 --photos PHOTOS         # about 25 minutes on two idle cores
    python scripts/throughput.py --count 12                          # a trial on the packaged samples

Writes photos of 1 to 2 megapixels to a temporary folder, takes the bare steps of marking on every `--sample`-th of them
(decode, mark, encode, decode, detect, measure; one thread, nothing in between), then runs the command itself on all in
a process of its own. Both are counted in CPU seconds, user and system, of all their threads, so that other work on the
machine does not count. Two figures follow:

efficiency   CPU seconds of the bare steps / those of the command: what is not spent on ids, manifest, files, threads
busy         CPU seconds of the command / (wall seconds x workers), and the same with the time that its threads were
             ready but had to wait for a CPU, which is what an idle machine would give

Memory is sampled while the command runs: flat means that the second half of the run grows by less than 5%.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
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

import wam
from payload import bits_from_word, hash_rgb
from wam.images import encode_image, read_image
from wam.jobs.local import default_workers
from wam.quality import psnr, ssim

SAMPLES = Path(wam.__file__).parent / "samples"
PIXELS = (1_000_000, 2_000_000)  # of the smallest and the largest photo
TARGET = 0.85  # of the CPU seconds, what the bare steps are to be
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
    for number in range(count):
        with Image.open(photos[number % len(photos)]) as opened:
            photo = opened.convert("RGB")
        side = rng.uniform(0.8, 1.0)  # of each cut
        width, height = round(photo.width * side), round(photo.height * side)
        left, top = rng.integers(photo.width - width + 1), rng.integers(photo.height - height + 1)
        factor = (np.linspace(*PIXELS, max(count, 2))[number] / (width * height)) ** 0.5
        size = (round(width * factor), round(height * factor))
        cut = photo.resize(size, Image.Resampling.LANCZOS, box=(left, top, left + width, top + height))
        cut.save(folder / f"{number:04}.jpg", quality=90)


def bare_steps(marker: wam.Watermarker, paths: list[Path]) -> dict[str, float]:
    """CPU seconds by step of marking without ids, files, or anything between the steps."""
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.process_time()
        result = work(*arguments, **options)
        seconds[step] = seconds.get(step, 0.0) + time.process_time() - started
        return result

    for word, path in enumerate(paths):
        picture = timed("decode", read_image, path)
        marked = timed("mark", marker.embed, picture.pixels, bits_from_word(word)).image
        content, _ = timed("encode", encode_image, marked, like=picture, format="JPEG")
        saved = timed("read back", read_image, content)
        timed("detect", marker.detect, saved.pixels, max_log10_p=marker.model.description.faint)
        timed("measure", psnr, picture.pixels, saved.pixels)
        timed("measure", ssim, picture.pixels, saved.pixels)
        timed("measure", hash_rgb, saved.pixels)
    return seconds


def run_command(photos: Path, out: Path, workers: int) -> Watched:
    """`wam embed` on a folder, watched; raises `CalledProcessError` if it fails."""
    command = [sys.executable, "-m", "wam", "embed", str(photos), "--out-dir", str(out), "--asset-from", "name"]
    command += ["--owner", "acme", "--device", "cpu", "--workers", str(workers), "--json"]
    command += ["--registry", str(out.with_name("registry.sqlite"))]
    watched, before = Watched(), resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    with open(out.with_name("lines.jsonl"), "w") as lines, subprocess.Popen(command, stdout=lines) as process:
        while process.poll() is None:
            watched.look(process.pid, started)
            time.sleep(INTERVAL)
    watched.wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    watched.cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return watched


def memory(watched: Watched) -> dict[str, float]:
    """Peak in MiB, growth per minute in MiB by least squares over the second half, and that as a share of the mean."""
    times, resident = np.array(watched.times), np.array(watched.resident) / MIB
    half = times >= times[-1] / 2
    slope = float(np.polyfit(times[half], resident[half], 1)[0]) if half.sum() > 2 else 0.0
    growth = slope * float(times[-1] - times[half][0]) / float(resident[half].mean())
    return {"peak_mib": float(resident.max()), "mib_per_minute": 60 * slope, "growth": growth}


def figures(count: int, workers: int, steps: dict[str, float], sample: int, start: float, watched: Watched) -> Any:
    """All that is reported, times in CPU milliseconds a photo; ``start``: CPU seconds of starting the command."""
    bare = {step: 1000 * seconds / sample for step, seconds in steps.items()}
    command = 1000 * (watched.cpu - start) / count
    ready = sum(watched.ready.values()) / 1e9
    return {
        "photos": count,
        "workers": workers,
        "bare_ms": bare,
        "bare_sum_ms": sum(bare.values()),
        "command_ms": command,
        "start_s": start,
        "efficiency": sum(bare.values()) / command,
        "wall_s": watched.wall,
        "photos_per_s": count / watched.wall,
        "busy": watched.cpu / watched.wall / workers,
        "busy_or_waiting": ready / watched.wall / workers,
        "memory": memory(watched),
    }


def report(found: Any) -> None:
    """A line for each step and one for each claim."""
    for step, value in found["bare_ms"].items():
        print(f"{step:10} {value:7.0f} ms CPU a photo  {value / found['command_ms']:6.1%} of the command")
    other = found["command_ms"] - found["bare_sum_ms"]
    print(f"{'the rest':10} {other:7.0f} ms CPU a photo  {other / found['command_ms']:6.1%} of the command")
    print(f"{'command':10} {found['command_ms']:7.0f} ms CPU a photo, and {found['start_s']:.1f} s once to start")
    verdict = f"{'met' if found['efficiency'] >= TARGET else 'missed'}: {TARGET:.0%}"
    print(f"efficiency {found['efficiency']:.1%}: network and codecs in the CPU time of the command ({verdict})")
    print(f"{found['photos']} photos in {found['wall_s']:.1f} s, {found['photos_per_s']:.2f}/s")
    print(f"{found['workers']} workers computed {found['busy']:.1%} of the time, "
          f"computed or waited for a CPU {found['busy_or_waiting']:.1%}")  # fmt: skip
    kept = found["memory"]
    flat = "flat" if abs(kept["growth"]) < FLAT else "NOT FLAT"
    print(f"memory: peak {kept['peak_mib']:.0f} MiB, second half {kept['mib_per_minute']:+.1f} MiB a minute, "
          f"{kept['growth']:+.1%} in all ({flat})")  # fmt: skip


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
    marker = wam.load(device="cpu")
    with tempfile.TemporaryDirectory() as name:
        photos, out, one = Path(name) / "photos", Path(name) / "out", Path(name) / "one"
        for folder in (photos, one):
            folder.mkdir()
        make_photos(photos, arguments.count, sources)
        make_photos(one, 1, sources)
        paths = sorted(photos.iterdir())[:: arguments.sample]
        bare_steps(marker, paths[:1])  # what is made once: imports, tables
        single = sum(bare_steps(marker, sorted(one.iterdir())).values())
        start = run_command(one, Path(name) / "started", 1).cpu - single
        before = bare_steps(marker, paths)
        watched = run_command(photos, out, arguments.workers)
        after = bare_steps(marker, paths)  # again: what else runs may have changed
        steps = {step: before[step] + after[step] for step in before}
        found = figures(arguments.count, arguments.workers, steps, 2 * len(paths), start, watched)
    report(found)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
