"""Leaks of one picture that many people have: a copy for each, worn as leaks are, and traced.

    python scripts/leak_simulation.py                                   # 200 recipients of a sample photo, minutes
    python scripts/leak_simulation.py --reduce 2                        # the same of a picture half as wide and high
    python scripts/leak_simulation.py --picture photo.jpg --recipients 12 --separate 12

Every recipient's copy leaks three times: made smaller and saved as JPEG; cut to a part and saved again; and in a
collage of parts of two recipients' copies on another, unmarked picture. What is drawn comes from ``--seed`` alone. A
leak is traced if exactly those who had the copies in it are named; a name of anybody else is wrong, whatever else is
found. ``--separate``: that many are also marked together and one by one, and CPU seconds of both for a copy are
printed, with what is done once for all, and without the start of a process.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from wam.studio import Studio

SAMPLES = Path(str(resources.files("wam"))) / "samples"
ASSET, OWNER = "press-7", "agency"


@dataclass(frozen=True)
class Leak:
    """What was done to copies, whose, and the file that came of it."""

    kind: str
    recipients: frozenset[str]
    content: bytes


def who(number: int) -> str:
    """A recipient's name."""
    return f"recipient-{number:04}"


def saved(picture: Image.Image, quality: int) -> bytes:
    """As JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def part(picture: Image.Image, random: np.random.Generator, *, area: tuple[float, float]) -> Image.Image:
    """A piece of a picture with its sides' ratio, of that share of its area."""
    side = float(np.sqrt(random.uniform(*area)))
    width, height = round(picture.width * side), round(picture.height * side)
    left, top = (int(random.integers(0, room + 1)) for room in (picture.width - width, picture.height - height))
    return picture.crop((left, top, left + width, top + height))


def opened(content: bytes) -> Image.Image:
    """The picture of a file."""
    return Image.open(io.BytesIO(content)).convert("RGB")


def leaks(copies: Sequence[bytes], names: Sequence[str], other: Image.Image, seed: int) -> Iterator[Leak]:
    """Three of each copy, which are files."""
    for number, (content, name) in enumerate(zip(copies, names, strict=True)):
        copy = opened(content)
        random = np.random.default_rng([seed, number])
        scale = random.uniform(0.6, 1.0)
        smaller = copy.resize((round(copy.width * scale), round(copy.height * scale)), Image.Resampling.LANCZOS)
        yield Leak("jpeg", frozenset({name}), saved(smaller, int(random.integers(50, 81))))
        yield Leak("crop", frozenset({name}), saved(part(copy, random, area=(0.3, 0.7)), 80))
        second = (number + 1 + int(random.integers(len(copies) - 1))) % len(copies) if len(copies) > 1 else number
        pieces = [part(opened(copies[place]), random, area=(0.3, 0.5)) for place in (number, second)]
        yield Leak("collage", frozenset({name, names[second]}), saved(collage(pieces, other), 85))


def collage(pieces: Sequence[Image.Image], other: Image.Image) -> Image.Image:
    """Pieces side by side on another picture, which shows around and between them."""
    gap = max(piece.height for piece in pieces) // 8
    width = sum(piece.width for piece in pieces) + gap * (len(pieces) + 1)
    canvas = other.resize((width, max(piece.height for piece in pieces) + 2 * gap))
    left = gap
    for piece in pieces:
        canvas.paste(piece, (left, gap))
        left += piece.width + gap
    return canvas


def outcome(studio: Studio, leak: Leak) -> str:
    """``traced``, ``missed`` where somebody was not named, or ``wrong`` where anybody else was."""
    marks = studio.read(leak.content).marks
    named = {mark.record.user for mark in marks if mark.status == "verified" and mark.record is not None}
    if named - leak.recipients:
        return "wrong"
    return "traced" if named == leak.recipients else "missed"


def copies_of(studio: Studio, picture: bytes, names: Sequence[str]) -> list[bytes]:
    """The file of each; raises what stands in the way of one."""
    found = []
    for done in studio.mark_for(picture, names, asset=ASSET, owner=OWNER):
        if isinstance(done, Exception):
            raise done
        found.append(done.content)
    return found


def compare(studio: Studio, picture: bytes, count: int) -> dict[str, float]:
    """CPU seconds for one copy, together and one by one, and their ratio: half of those before, half after the others,
    so that what else the machine does falls on both."""

    def separate(first: int, last: int) -> float:
        before = time.process_time()
        for number in range(first, last):
            studio.mark(picture, asset=ASSET, owner=OWNER, user=f"separate-{number}")
        return time.process_time() - before

    studio.mark(picture, asset=ASSET, owner=OWNER, user="first of all")  # what a process does once is in neither
    alone = separate(0, count // 2)
    before = time.process_time()
    copies_of(studio, picture, [f"together-{number}" for number in range(count)])
    together = time.process_time() - before
    alone += separate(count // 2, count)
    each = {"together": round(together / count, 3), "separate": round(alone / count, 3)}
    return {"recipients": count, **each, "ratio": round(alone / together, 2)}


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", type=Path, default=SAMPLES / "dune.jpg")
    parser.add_argument("--reduce", type=int, default=1, metavar="N", help="make the picture N times smaller first")
    parser.add_argument("--other", type=Path, default=SAMPLES / "ice.jpg", help="what collages lie on")
    parser.add_argument("--recipients", type=int, default=200)
    parser.add_argument("--separate", type=int, default=0, help="recipients that are marked one by one too, for time")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    content = given.picture.read_bytes()
    if given.reduce > 1:
        content = saved(opened(content).reduce(given.reduce), 90)
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio(Path(folder) / "registry.sqlite", device="cpu")
        if given.separate:
            print(json.dumps(compare(studio, content, given.separate)), flush=True)
        names = [who(number) for number in range(given.recipients)]
        copies = copies_of(studio, content, names) if names else []
        counts: dict[str, Counter[str]] = {}
        for leak in leaks(copies, names, Image.open(given.other).convert("RGB"), given.seed):
            found = outcome(studio, leak)
            counts.setdefault(leak.kind, Counter())[found] += 1
            if found != "traced":
                print(f"{found}: {leak.kind} of {', '.join(sorted(leak.recipients))}", file=sys.stderr, flush=True)
        for kind, counted in counts.items():
            print(json.dumps({"leak": kind, "of": counted.total(), **counted}), flush=True)


if __name__ == "__main__":
    main()
