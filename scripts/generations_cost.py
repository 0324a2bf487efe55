"""What reading costs with many generations of words in use, beside one: the same pictures, read in turn.

    python scripts/generations_cost.py                            # the sample photos
    python scripts/generations_cost.py --photos DIR --side 1024 --generations 1 16 1024 4096
    python scripts/generations_cost.py --photos DIR --side 512 --most 10 --worn --generations 477

Each picture is marked as a whole with a label of the middle generation, saved as JPEG and read with all of them in use,
time after time and in turn, so that what else the machine does falls on all alike; the least CPU time of each counts.
The same is done with the unmarked picture, for which everything is searched. Printed: CPU milliseconds for one
picture, as means over the pictures, and the ratio to the first number of generations. The phases of the labels are
drawn when a reader starts: with two rounds or more that is not in the least time.

With --worn each marked picture is worn in six ways instead, down to a tenth of its area and to JPEG 20, and read with
all generations in use. Printed: how many copies are read under their label, and of these the largest chance (log10)
that a mark of another label passes for theirs, which ``payload.codes.word_match.MAX_LOG10_NAME_P`` bounds.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from wam.pictures.files import files_in
from wam.signal.label import Label
from wam.watermarker import Watermarker, load

NAMESPACE = 0x7761_6D00_0000_0001
BITS = "01100011101001011100001101011010"
SAMPLES = Path(str(resources.files("wam"))) / "samples"


def labels(count: int, *, middle: int) -> tuple[Label, ...]:
    """The newest generation first, as a registry lists them, with the ``middle`` one among them."""
    newest = middle + count // 2
    return tuple(Label(NAMESPACE, newest - place) for place in range(count))


def cpu(reader: Watermarker, picture: Image.Image) -> float:
    """Milliseconds of this process that reading takes."""
    before = time.process_time()
    reader.detect(picture)
    return 1000 * (time.process_time() - before)


def saved(picture: Image.Image, quality: int = 85) -> Image.Image:
    """As it comes back from a JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def photos(folder: Path, side: int, most: int) -> list[Image.Image]:
    """Some photos with a short side of so many pixels at most."""
    found = []
    for path in list(files_in(folder, {".jpg", ".jpeg", ".png"}))[:most]:
        with Image.open(path) as image:
            scale = min(1.0, side / min(image.size))
            size = (round(image.width * scale), round(image.height * scale))
            found.append(image.convert("RGB").resize(size))
    return found


def measure(
    marker: Watermarker, pictures: Sequence[Image.Image], counts: Sequence[int], *, rounds: int
) -> list[dict[str, float]]:
    """A row for each number of generations."""
    middle = max(counts)
    own = Label(NAMESPACE, middle)
    marked = [saved(_marked(marker, one, own)) for one in pictures]
    readers = {count: marker.knowing(labels(count, middle=middle)) for count in counts}
    shown = {"marked": marked, "unmarked": list(pictures)}
    times = {kind: _least(readers, some, rounds) for kind, some in shown.items()}
    rows = []
    for count, reader in readers.items():
        read = sum(any((one.label, one.bits) == (own, BITS) for one in reader.detect(some)) for some in marked)
        row: dict[str, float] = {"generations": count, "pictures": len(pictures), "read": read}
        for kind, found in times.items():
            row[f"{kind}_ms"] = round(found[count], 1)
            row[f"{kind}_ratio"] = round(found[count] / found[counts[0]], 3)
        rows.append(row)
    return rows


def worn(picture: Image.Image) -> list[Image.Image]:
    """Copies as they are met: coarsely saved, reduced, cut down to a fifth and a tenth of the area, turned."""
    width, height = picture.size
    left, top = width // 3, height // 3
    fifth, tenth = (
        picture.crop((left, top, left + round(width * side), top + round(height * side))) for side in (0.447, 0.316)
    )
    half = picture.resize((width // 2, height // 2))
    made = (picture, 50), (picture, 20), (half, 75), (fifth, 70), (tenth, 70), (picture.rotate(17), 60)
    return [saved(one, quality) for one, quality in made]


def chances(marker: Watermarker, pictures: Sequence[Image.Image], count: int) -> dict[str, Any]:
    """How many worn copies are read with so many generations in use, and the largest chance of their labels."""
    own = Label(NAMESPACE, count)
    reader = marker.knowing(labels(count, middle=count))
    copies = [copy for one in pictures for copy in worn(_marked(marker, one, own))]
    found = [[one.label_log10_p for one in reader.detect(copy) if one.label == own] for copy in copies]
    read = [min(one) for one in found if one]
    most = round(max(read), 1) if read else None
    return {"generations": count, "copies": len(copies), "read": len(read), "label_log10_p_at_most": most}


def _marked(marker: Watermarker, picture: Image.Image, label: Label) -> Image.Image:
    return Image.fromarray(np.asarray(marker.marking_as(label).embed(picture, BITS).image))


def _least(readers: dict[int, Watermarker], pictures: Sequence[Image.Image], rounds: int) -> dict[int, float]:
    """Milliseconds by the number of generations: the mean over pictures of the least of some rounds."""
    total = dict.fromkeys(readers, 0.0)
    for picture in pictures:
        found = [{count: cpu(reader, picture) for count, reader in readers.items()} for _ in range(rounds)]
        for count in readers:
            total[count] += min(one[count] for one in found) / len(pictures)
    return total


def main(arguments: Sequence[str] | None = None) -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLES)
    parser.add_argument("--side", type=int, default=1024, help="short side, pixels")
    parser.add_argument("--most", type=int, default=6, help="pictures")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--generations", type=int, nargs="+", default=[1, 16, 1024])
    parser.add_argument("--worn", action="store_true", help="how surely worn copies show their label, in place of cost")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    marker = load(device="cpu")
    if given.worn:
        some = photos(given.photos, given.side, given.most)
        for count in given.generations:
            print(json.dumps(chances(marker, some, count)), flush=True)
        return
    for row in measure(marker, photos(given.photos, given.side, given.most), given.generations, rounds=given.rounds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
