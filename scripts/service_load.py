"""Measures a service under load: how many pictures a second, how long each takes, and what its processes need.

    wam serve --rate 100000 --workers 2 &
    python scripts/service_load.py --url http://127.0.0.1:8000 --pictures photos --requests 200 --at-once 4

``--loop`` reads the same pictures in this process, one after another on one thread, for comparison. One in ten pictures
is given as it is and nine are cut a little, so that no two of a folder are alike; give a folder with one marked picture
to nine unmarked for the usual mixture. Figures count for the machine they were made on, and for what else ran there.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.pictures.kinds import READ_SUFFIXES
from wam.studio import Studio

AS_IS = 10  # one in so many pictures is sent as it is
CUT = 8  # pixels, at most, that are cut from the others


@dataclass(frozen=True)
class Answer:
    """One request: status, seconds to the answer, and how many marks were found."""

    status: int
    seconds: float
    marks: int


def pictures(folder: Path, count: int) -> Iterator[bytes]:
    """So many pictures of a folder, again and again, no two alike but those that are given as they are."""
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in READ_SUFFIXES)
    if not files:
        raise SystemExit(f"{folder}: expected pictures, found none; name another folder")
    for number, path in enumerate(islice(cycle(files), count)):
        if number % AS_IS == 0:
            yield path.read_bytes()
            continue
        with Image.open(path) as image:
            left, top = number % CUT, number // CUT % CUT
            stream = io.BytesIO()
            image.convert("RGB").crop((left, top, image.width, image.height)).save(stream, "JPEG", quality=90)
        yield stream.getvalue()


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


def load(url: str, contents: Sequence[bytes], at_once: int) -> tuple[list[Answer], float]:
    """All answers, and how long they took together."""
    begun = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(lambda content: ask(url, content), contents))
    return answers, time.monotonic() - begun


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
    parser.add_argument("--url", help="of the service")
    parser.add_argument("--pictures", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--requests", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--loop", action="store_true", help="also read the same in this process")
    options = parser.parse_args(arguments)
    contents = list(pictures(options.pictures, options.requests))
    if options.url is not None:
        answers, seconds = load(options.url, contents, options.at_once)
        print(json.dumps({"service": report(answers, seconds)}))
    if options.loop:
        import torch

        torch.set_num_threads(1)
        studio = Studio()
        begun = time.monotonic()
        for content in contents:
            studio.read(content)
        print(json.dumps({"loop": {"per_second": round(len(contents) / (time.monotonic() - begun), 3)}}))


if __name__ == "__main__":
    main()
