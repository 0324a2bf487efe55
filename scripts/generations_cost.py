"""What reading costs with many generations of words in use, beside one: the same pictures, read in turn.

    python scripts/generations_cost.py                            # the sample photos
    python scripts/generations_cost.py --photos DIR --side 1024 --generations 1 16 1024 4096

Each picture is marked as a whole with a label of the middle generation, saved as JPEG and read with all of them in use,
time after time and in turn, so that what else the machine does falls on all alike; the least CPU time of each counts.
The same is done with the unmarked picture, for which everything is searched. Printed: CPU milliseconds for one
picture, as means over the pictures, and the ratio to the first number of generations. The phases of the labels are
drawn when a reader starts: with two rounds or more that is not in the least time.
"""

from __future__ import annotations

import argparse
import io
import json
import time
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

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


def saved(picture: Image.Image) -> Image.Image:
    """As it comes back from a JPEG."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=85)
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
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    marker = load(device="cpu")
    for row in measure(marker, photos(given.photos, given.side, given.most), given.generations, rounds=given.rounds):
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
