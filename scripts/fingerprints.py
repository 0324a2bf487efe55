"""How far apart fingerprints of photos are: of different photos, and of copies against the hash of 0.2.0.

    python scripts/fingerprints.py pairs FOLDER     # all pairs of different photos, upright and turned
    python scripts/fingerprints.py copies FOLDER    # marked validation photos, their copies, and strangers

pairs    PDQ (extra [fingerprint]) of every photo against every other, upright and in all eight ways that it can be
         turned and mirrored: how many are within the 31 bits at which `wam detect --similar` lists a picture, the most
         that this bears out (95%), and the nearest, for somebody to look at: they may be one picture twice.
copies   every 32nd photo marked, and copies of it compared with what a registry keeps: the hash of 64 bits with guesses
         of what was cut off (0.2.0's transplant check), PDQ alone, and PDQ with the same guesses. Each with the bound
         that lets 1 in 1,000 strangers pass, and with that of the transplant check or of `detect --similar`. Negatives
         are left out: they turn over most bits of either.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from payload import hash_rgb, hashes_before_cut
from payload.phash import before_cut
from payload.registry.pdq import WITHIN
from wam.pipeline.transplant import DISTANCE
from wam.provenance.fingerprint import TURNS, fingerprint, fingerprints_of, turned_fingerprints
from wam.training.photos import Photos
from wam.watermarker import load

Pixels = np.ndarray
Hash = Callable[[Pixels], tuple[int, ...]]
STRANGERS = 0.001  # of strangers that may pass for the own picture
NEAREST = 8  # pairs that are shown


def names_of(folder: Path) -> list[Path]:
    """The photos of a folder."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))


def bits_of(numbers: Sequence[int]) -> np.ndarray:
    """(N, 256) of 0 and 1."""
    packed = np.frombuffer(b"".join(number.to_bytes(32, "big") for number in numbers), np.uint8)
    return np.unpackbits(packed.reshape(-1, 32), axis=1)


def apart(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """(N, M): in how many bits each of the first differs from each of the second."""
    one, other = first.astype(np.float32) * 2 - 1, second.astype(np.float32) * 2 - 1
    found: np.ndarray = np.rint((first.shape[1] - one @ other.T) / 2).astype(int)
    return found


def most(found: int, of: int) -> float:
    """The largest rate that so few of so many bear out with 95% confidence, if they are independent."""
    from scipy.stats import beta

    return float(beta.ppf(0.95, found + 1, of - found)) if found < of else 1.0


def pairs(folder: Path) -> None:
    """Prints what all pairs say."""
    known: list[tuple[str, tuple[int, ...]]] = []
    for path in names_of(folder):
        found = turned_fingerprints(np.asarray(Image.open(path).convert("RGB")))
        if found:
            known.append((path.name, found))
    bits = [bits_of([found[turn] for _, found in known]) for turn in range(len(TURNS))]
    above = np.triu_indices(len(known), 1)
    every = np.stack([apart(bits[0], turned)[above] for turned in bits])
    upright, nearest = every[0], every.min(0)
    count = upright.size
    print(f"{len(known)} photos with a fingerprint, {count:,} pairs")
    print(f"upright       mean {upright.mean():.2f}, standard deviation {upright.std():.2f}, least {upright.min()}")
    for name, values in (("upright", upright), ("of 8 ways", nearest)):
        tail = ", ".join(f"{(values <= bound).sum()} within {bound}" for bound in (WITHIN, 40, 50, 60, 70, 80))
        print(f"{name:13} {tail}; at most {most(int((values <= WITHIN).sum()), count):.1e} within {WITHIN}")
    for place in np.argsort(nearest, kind="stable")[:NEAREST]:
        one, other = known[above[0][place]][0], known[above[1][place]][0]
        print(f"  {nearest[place]:3} {one} {other} {TURNS[int(every[:, place].argmin())]}")


def saved(pixels: Pixels, quality: int) -> Pixels:
    """As JPEG gives it back."""
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=quality)
    return np.asarray(Image.open(stream))


def scaled(pixels: Pixels, factor: float) -> Pixels:
    """Smaller or larger."""
    height, width = pixels.shape[:2]
    return np.asarray(Image.fromarray(pixels).resize((round(width * factor), round(height * factor))))


def middle(pixels: Pixels, share: float) -> Pixels:
    """The middle, so much of its area."""
    height, width = pixels.shape[:2]
    down, across = (round(side * (1 - share**0.5) / 2) for side in (height, width))
    return pixels[down : height - down, across : width - across]


def cut(pixels: Pixels, share: float, *, right: bool) -> Pixels:
    """What is left of it after a cut at the right, or at the left."""
    width = round(pixels.shape[1] * share)
    return pixels[:, :width] if right else pixels[:, -width:]


COPIES: Mapping[str, Callable[[Pixels], Pixels]] = {
    "as marked": lambda pixels: pixels,
    "JPEG 80": lambda pixels: saved(pixels, 80),
    "JPEG 50": lambda pixels: saved(pixels, 50),
    "JPEG 20": lambda pixels: saved(pixels, 20),
    "scaled to .5": lambda pixels: scaled(pixels, 0.5),
    "scaled to .25": lambda pixels: scaled(pixels, 0.25),
    "brighter by 40": lambda pixels: np.clip(pixels.astype(int) + 40, 0, 255).astype(np.uint8),
    "middle 95%": lambda pixels: middle(pixels, 0.95),
    "middle 80%": lambda pixels: middle(pixels, 0.8),
    "middle 60%": lambda pixels: middle(pixels, 0.6),
    "right cut to 90%": lambda pixels: cut(pixels, 0.9, right=True),
    "right cut to 75%": lambda pixels: cut(pixels, 0.75, right=True),
    "left cut to 90%": lambda pixels: cut(pixels, 0.9, right=False),
    "left cut to 75%": lambda pixels: cut(pixels, 0.75, right=False),
}
HASHES: Mapping[str, tuple[Hash, Hash, int]] = {  # of what is kept, of a copy, and how many bits
    "64 bits, guesses": (lambda p: (hash_rgb(p),), lambda p: (hash_rgb(p), *hashes_before_cut(p)), 64),
    "PDQ": (lambda p: _pdq(p), lambda p: _pdq(p), 256),
    "PDQ, guesses": (lambda p: _pdq(p), lambda p: (*_pdq(p), *fingerprints_of(before_cut(p))), 256),
}


def _pdq(pixels: Pixels) -> tuple[int, ...]:
    found = fingerprint(pixels)
    return () if found is None else (found,)


def least(kept: Sequence[tuple[int, ...]], copies: Sequence[tuple[int, ...]]) -> np.ndarray:
    """(N, N): of each kept picture and each copy the distance of the nearest guess."""
    return np.array([[min((one ^ guess).bit_count() for guess in copy) for copy in copies] for (one,) in kept])


def copies(folder: Path, limit: int | None) -> None:
    """Prints what copies and strangers of marked photos say."""
    marker = load(device="cpu")
    photos = [one for one in Photos.load(folder, limit=limit, validation=True).pictures if fingerprint(one) is not None]
    marked = [np.asarray(marker.embed(one, f"{number:032b}").image) for number, one in enumerate(photos, start=1)]
    print(f"{len(marked)} marked validation photos with a fingerprint, each copy against all of them")
    for name, (of_kept, of_copy, size) in HASHES.items():
        tables = dict(_tables(marked, of_kept, of_copy))
        strangers = np.concatenate([table[~np.eye(len(table), dtype=bool)] for table in tables.values()])
        bound = max(0, int(np.quantile(strangers, STRANGERS, method="lower")) - 1)
        bounds = [bound, DISTANCE if size == 64 else WITHIN]
        passed = ", ".join(f"{(strangers <= one).mean():.2%} within {one}" for one in bounds)
        print(f"\n{name}, {size} bits: of strangers {passed}")
        for kind, table in tables.items():
            own = np.diag(table)
            within = ", ".join(f"{(own <= one).mean():.0%} within {one}" for one in bounds)
            print(f"  {kind:18} own {np.median(own):.0f} in the middle, {own.max()} at most; {within}")


def _tables(marked: Sequence[Pixels], of_kept: Hash, of_copy: Hash) -> Iterator[tuple[str, np.ndarray]]:
    kept = [of_kept(one) for one in marked]
    for kind, change in COPIES.items():
        found = [of_copy(np.ascontiguousarray(change(one))) for one in marked]
        shown = [place for place, one in enumerate(found) if one]
        yield kind, least([kept[place] for place in shown], [found[place] for place in shown])


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("pairs", "copies"))
    parser.add_argument("folder", type=Path, help="photos")
    parser.add_argument("--limit", type=int, metavar="N", help="of copies: no more photos")
    given = parser.parse_args(arguments)
    if given.what == "pairs":
        pairs(given.folder)
    else:
        copies(given.folder, given.limit)


if __name__ == "__main__":
    main()
