"""Measures a service under load: how many pictures a second, how long each takes, and what its processes need.

    python scripts/service_load.py --requests 2000 --at-once 4

starts ``wam serve`` with two workers and a registry of its own, marks a picture in ten, sends all, ends it, and reads
the first ``--loop`` of the same pictures in this process, one after another with all threads that PyTorch takes. It
prints a line of JSON for each part, and last the ratio: pictures a second of the service to those of the loop over the
same pictures, sent in the same run. ``--url`` measures a service that runs, with ``--pid`` for its memory; give it
``--rate 100000``. Nine pictures in ten are unmarked ones of ``--pictures`` (those of the package unless given), each
cut and encoded a little differently. Figures count for the machine they were made on, and for what else ran there: the
ratio is of use only where nothing else does.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scripts.service_fuzz import memory_of
from wam.pictures.kinds import READ_SUFFIXES
from wam.studio import Studio

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = ROOT / "wam" / "samples"
MARKED = 10  # one in so many pictures carries a mark
CUT = 8  # pixels, at most, that are cut from the others
START_SECONDS = 600.0  # for a service to be ready
WARM = 4  # requests before anything is measured


@dataclass(frozen=True)
class Answer:
    """One request: status, seconds to the answer, and how many marks were found."""

    status: int
    seconds: float
    marks: int


def pictures(folder: Path, count: int, studio: Studio) -> Iterator[bytes]:
    """So many pictures of a folder, again and again, no two alike; one in ten is marked."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READ_SUFFIXES)
    if not files:
        raise SystemExit(f"{folder}: expected pictures, found none; name another folder")
    marked: dict[Path, bytes] = {}
    for number, path in enumerate(islice(cycle(files), count)):
        if number % MARKED == 0:
            if path not in marked:
                marked[path] = studio.mark(path, asset=path.stem, owner="load").content
            yield marked[path]
            continue
        with Image.open(path) as image:
            left, top = number % CUT, number // CUT % CUT
            stream = io.BytesIO()
            image.convert("RGB").crop((left, top, image.width, image.height)).save(stream, "JPEG", quality=90)
        yield stream.getvalue()


@contextmanager
def service(folder: Path, workers: int) -> Iterator[tuple[str, int]]:
    """A service of its own: where it answers, and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    line = [
        sys.executable, "-m", "wam", "serve", "--port", str(port), "--rate", "1000000", "--workers", str(workers),
        "--registry", str(folder / "registry.sqlite"), "--api-keys", str(folder / "keys.json"), "--queue", "1000",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (folder / "service.log").open("wb") as log:
        process = subprocess.Popen(line, env=environment, stderr=log)
        try:
            url, end = f"http://127.0.0.1:{port}", time.monotonic() + START_SECONDS
            while not is_ready(url):
                if process.poll() is not None or time.monotonic() > end:
                    said = (folder / "service.log").read_text()[-2000:]
                    raise SystemExit(f"wam serve: expected it to be ready, found it is not:\n{said}")
                time.sleep(0.5)
            yield url, process.pid
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_ready(url: str) -> bool:
    """Whether a service answers and has a worker."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=10)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def ask(url: str, content: bytes) -> Answer:
    """One picture read by the service, over a connection of its own."""
    parts = urlsplit(url)
    begun = time.monotonic()
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=600)
    try:
        connection.request("POST", "/v1/detect", content, {"Content-Type": "image/jpeg"})
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    marks = len(json.loads(body)["watermarks"]) if answer.status == 200 else 0
    return Answer(answer.status, time.monotonic() - begun, marks)


def load(url: str, contents: Sequence[bytes], at_once: int, pid: int | None) -> tuple[list[Answer], float, list[int]]:
    """All answers, how long they took together, and the memory of the service (KiB) before, half-way and after."""
    answers: list[Answer] = []
    for content in contents[:WARM]:
        ask(url, content)
    memory, seconds, half = [memory_of(pid or 0)], 0.0, len(contents) // 2
    for part in (contents[:half], contents[half:]):
        begun = time.monotonic()
        with ThreadPoolExecutor(at_once) as pool:
            answers += pool.map(lambda content: ask(url, content), part)
        seconds += time.monotonic() - begun
        memory.append(memory_of(pid or 0))
    return answers, seconds, memory


def loop(studio: Studio, contents: Sequence[bytes]) -> float:
    """Pictures a second, read one after another in this process."""
    for content in contents[:WARM]:
        studio.read(content)
    begun = time.monotonic()
    for content in contents:
        studio.read(content)
    return len(contents) / (time.monotonic() - begun)


def quantile(values: Sequence[float], share: float) -> float:
    """
    >>> quantile([3.0, 1.0, 2.0], 0.5), quantile([1.0], 0.95)
    (2.0, 1.0)
    """
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def report(answers: Sequence[Answer], seconds: float) -> dict[str, object]:
    """The figures."""
    good = [one.seconds for one in answers if one.status == 200]
    return {
        "requests": len(answers),
        "statuses": dict(Counter(one.status for one in answers)),
        "with_marks": sum(one.marks > 0 for one in answers),
        "per_second": round(len(good) / seconds, 3),
        "p50_seconds": round(quantile(good, 0.5), 3) if good else None,
        "p95_seconds": round(quantile(good, 0.95), 3) if good else None,
        "longest_seconds": round(max(good), 3) if good else None,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="of a service that runs; one is started unless given")
    parser.add_argument("--pid", type=int, help="of that service, to measure its memory")
    parser.add_argument("--pictures", type=Path, default=SAMPLES, metavar="FOLDER")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--workers", type=int, default=2, help="of the service that is started")
    parser.add_argument("--loop", type=int, metavar="N", help="pictures of the loop, 0 for none; default: 200 at most")
    options = parser.parse_args(arguments)
    if options.requests < 2:
        parser.error("--requests: expected 2 or more, found fewer")
    with tempfile.TemporaryDirectory(prefix="wam-load-") as name:
        folder = Path(name)
        studio = Studio(registry=str(folder / "registry.sqlite"))
        contents = list(pictures(options.pictures, options.requests, studio))
        count = min(200, options.requests) if options.loop is None else min(options.loop, options.requests)
        if options.url is not None:
            answers, seconds, memory = load(options.url, contents, options.at_once, options.pid)
        else:
            with service(folder, options.workers) as (url, pid):
                answers, seconds, memory = load(url, contents, options.at_once, pid)
        said = report(answers, seconds)
        print(json.dumps({"service": said}), flush=True)
        print(json.dumps({"memory_mib": [round(one / 1024) for one in memory], "at": ["start", "half", "end"]}))
        if count:
            alone = loop(studio, contents[:count])
            ratio = float(str(said["per_second"])) / alone
            print(json.dumps({"loop": {"pictures": count, "per_second": round(alone, 3)}, "ratio": round(ratio, 3)}))


if __name__ == "__main__":
    main()
