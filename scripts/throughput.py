"""Where the time of a batch goes, against the bare networks and codecs on the same photos, in the same run.

    python scripts/throughput.py --count 40 --workers 2

Makes photos of 1 to 2 megapixels out of the samples, takes the steps of marking one by one on one thread, then lets
the batch engine do all of it. CPU seconds tell what the batch adds, whatever else runs. Workers that are ready
are computing, or could if no other program had the CPU: their share tells whether the batch keeps the CPUs busy.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from PIL import Image

import wam
from payload import bits_from_word
from payload.registry import Registry
from wam.images import encode_image, read_image
from wam.jobs.ledger import Ledger
from wam.jobs.local import default_workers, embed_locally
from wam.jobs.manifest import Manifest
from wam.jobs.plan import Fields, Item, asset_from_name, find_sources, find_targets, plan_records
from wam.quality import psnr, ssim

SAMPLES = Path(wam.__file__).parent / "samples"
WIDEST = 1.4  # factor of the largest photo to its sample, which has about 1 megapixel


class Clock:
    """CPU seconds of this process by step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def time(self, step: str, work: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        started = time.process_time()
        result = work(*arguments, **options)
        self.seconds[step] = self.seconds.get(step, 0.0) + time.process_time() - started
        return result


class ReadyTime(threading.Thread):
    """Seconds that this process's threads computed or waited for a CPU, by Linux's scheduler; zero elsewhere."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.threads: dict[str, int] = {}
        self.done = threading.Event()
        self.start()

    def run(self) -> None:
        while not self.done.wait(0.2):
            for path in Path("/proc/self/task").glob("*/schedstat"):
                with suppress(OSError):  # a thread that has ended
                    computed, waited, _ = map(int, path.read_text().split())
                    self.threads[path.parent.name] = computed + waited

    def seconds(self) -> float:
        return sum(self.threads.values()) / 1e9


def make_photos(folder: Path, count: int) -> None:
    """Photos of 1 to 2 megapixels, JPEG quality 90, no two alike."""
    samples = sorted(SAMPLES.glob("*.jpg"))
    for number in range(count):
        photo = Image.open(samples[number % len(samples)]).convert("RGB")
        factor = 1 + (WIDEST - 1) * number / max(1, count - 1)
        photo = photo.resize((round(photo.width * factor), round(photo.height * factor)), Image.Resampling.LANCZOS)
        photo.save(folder / f"{number:04}.jpg", quality=90)


def bare_steps(marker: wam.Watermarker, items: list[Item], clock: Clock) -> None:
    """The steps of marking without ids, files, or anything between them."""
    for word, item in enumerate(items):
        picture = clock.time("decode", read_image, item.source.location)
        marked = clock.time("mark", marker.embed, picture.pixels, bits_from_word(word)).image
        content, _ = clock.time("encode", encode_image, marked, like=picture, format="JPEG")
        saved = clock.time("decode", read_image, content)
        clock.time("detect", marker.detect, saved.pixels, max_log10_p=marker.model.description.faint)
        clock.time("quality", psnr, picture.pixels, saved.pixels)
        clock.time("quality", ssim, picture.pixels, saved.pixels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="photos")
    parser.add_argument("--workers", type=int, default=default_workers())
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    marker = wam.load(device="cpu")
    with tempfile.TemporaryDirectory() as name:
        photos, out = Path(name) / "photos", Path(name) / "out"
        photos.mkdir()
        out.mkdir()
        make_photos(photos, arguments.count)
        sources = find_sources([str(photos)])
        targets = find_targets(sources, output=None, out_dir=out, in_place=False)
        items = plan_records(sources, targets, asset_from_name(Fields(owner="acme")))
        bare_steps(marker, items[:1], Clock())  # what is made once: imports, tables
        clock = Clock()
        bare_steps(marker, items, clock)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ready = ReadyTime()
        time.sleep(0.5)
        earlier, wall, cpu = ready.seconds(), time.perf_counter(), time.process_time()
        with Manifest(out) as manifest:
            ledger = Ledger(Registry.open(str(Path(name) / "registry.sqlite")), marker.name, manifest)
            outcomes = list(embed_locally(marker, ledger, items, workers=arguments.workers))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        ready.done.set()
        waited = ready.seconds() - earlier
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report(arguments.count, arguments.workers, clock, wall, cpu, waited)
    print(f"marked {sum(outcome.result is not None for outcome in outcomes)}; "
          f"peak memory {before // 1024} -> {after // 1024} MiB")  # fmt: skip


def report(count: int, workers: int, clock: Clock, wall: float, cpu: float, ready: float) -> None:
    """A line for each step and one for the batch."""
    bare = sum(clock.seconds.values())
    for step, seconds in clock.seconds.items():
        print(f"{step:8} {1000 * seconds / count:7.0f} ms CPU for each photo  {seconds / bare:5.1%}")
    print(f"{'sum':8} {1000 * bare / count:7.0f} ms CPU for each photo")
    print(f"{'batch':8} {1000 * cpu / count:7.0f} ms CPU for each photo; bare steps are {bare / cpu:.1%} of it")
    shares = f"computing {cpu / wall / workers:.1%}, ready {ready / wall / workers:.1%} of the time"
    print(f"{wall:.1f} s wall, {count / wall:.2f} photos/s; {workers} workers were {shares}")


if __name__ == "__main__":
    main()
