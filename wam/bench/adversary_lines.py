"""What an adversary reached and what it cost: one line for each of their rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wam.bench.perception import perceived
from wam.bench.results import Result
from wam.bench.rows import ADVERSARY
from wam.bench.summary import interval, mean, rounded
from wam.bench.view import Price
from wam.networks.strength import Amount, shown
from wam.pictures.quality import psnr, ssim
from wam.signal.filters import resize, to_pixels

ADVERSARY_LEGEND = (
    "done: marks removed, that is their record no longer named, or forged, that is the record named on a picture that "
    "was never marked; of so many pictures, with the exact 95% interval · silent: removed, and nothing reported at all "
    "· PSNR (dB), SSIM and CVVDP (JOD) of the result against the marked picture, or of the forgery against the picture "
    "it was made of, scaled to its size; none where pixels have moved · queries of a detector (median) · seconds of "
    "the attack (median), reading apart"
)


@dataclass(frozen=True)
class AdversaryLine:
    """One row of one contender at one strength. ``done`` of ``photos``: removed or forged, by ``aim``; ``low`` and
    ``high``: the exact 95% interval of the share; ``silent``: of the removed, those where nothing was reported; figures
    of quality are means over all results, done or not, and None where nothing can be compared."""

    contender: str
    strength: Amount
    row: str
    aim: str
    photos: int
    done: int
    low: float
    high: float
    silent: int | None
    psnr_db: float | None
    ssim: float | None
    cvvdp_jod: float | None
    queries: float | None
    seconds: float | None
    failed: int


@torch.inference_mode()
def price_of(image: Tensor, price: Price) -> dict[str, Any]:
    """The price in figures, for results.jsonl: of ``image`` (1, 3, h, w) against what it is to look like."""
    found: dict[str, Any] = {"aim": price.aim, "queries": price.queries, "seconds": round(price.seconds, 3)}
    if price.reference is None:
        return found
    if image.shape != price.reference.shape:
        image = resize(image, (int(price.reference.shape[-2]), int(price.reference.shape[-1])))
    first, second = to_pixels(image[0].clamp(0, 1)), to_pixels(price.reference[0])
    ratio = psnr(first, second)
    seen = perceived(first, second)
    return {
        **found,
        "psnr_db": ratio if math.isfinite(ratio) else None,
        "ssim": ssim(first, second),
        "cvvdp_jod": seen.get("cvvdp_jod"),
    }


def adversary_lines(results: Sequence[Result]) -> list[AdversaryLine]:
    """A line for each row of each contender at each strength."""
    rows: dict[tuple[str, Amount, str], list[Result]] = {}
    for result in results:
        if result.group == ADVERSARY:
            rows.setdefault((result.key.contender, result.key.strength, result.key.row), []).append(result)
    return [_line(members) for members in rows.values()]


def _line(results: Sequence[Result]) -> AdversaryLine:
    key = results[0].key
    whole = [result for result in results if result.error is None]
    prices = [result.values["price"] for result in whole]
    aim = prices[0]["aim"] if prices else "-"
    named = [bool(result.values["marks"][0]["record"]) for result in whole]
    done = [record if aim == "forge" else not record for record in named]
    silent = [gone and not result.values["detections"] for gone, result in zip(done, whole, strict=True)]
    decides = any(result.values["marks"][0]["found"] is not None for result in whole)
    low, high = interval(sum(done), len(done))
    asked = [price["queries"] for price in prices if price["queries"]]
    return AdversaryLine(
        key.contender,
        key.strength,
        key.row,
        aim,
        len(whole),
        sum(done),
        round(low, 4),
        round(high, 4),
        sum(silent) if aim == "remove" and decides else None,
        rounded(mean(price.get("psnr_db") for price in prices)),
        rounded(mean(price.get("ssim") for price in prices)),
        rounded(mean(price.get("cvvdp_jod") for price in prices)),
        _median(asked),
        _median(price["seconds"] for price in prices),
        len(results) - len(whole),
    )


def adversary_table(lines: Sequence[AdversaryLine]) -> tuple[list[str], list[list[str]]]:
    """Heads and cells, as every report shows them."""
    several = len({(line.contender, line.strength) for line in lines}) > 1
    heads = [*(["contender"] if several else []), "attack", "aim", "done", "95% interval", "silent"]
    heads += ["PSNR", "SSIM", "CVVDP", "queries", "seconds"]
    return heads, [_cells(line, several=several) for line in lines]


def _cells(line: AdversaryLine, *, several: bool) -> list[str]:
    name = line.contender if line.strength is None else f"{line.contender} {shown(line.strength)}"
    return [
        *([name] if several else []),
        line.row,
        line.aim,
        f"{line.done} of {line.photos}",
        f"{line.low:.0%} to {line.high:.0%}",
        _shown(line.silent, ".0f"),
        _shown(line.psnr_db, ".1f"),
        _shown(line.ssim, ".3f"),
        _shown(line.cvvdp_jod, ".2f"),
        _shown(line.queries, ".0f"),
        _shown(line.seconds, ".2f"),
    ]


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _median(values: Iterable[float]) -> float | None:
    ordered = sorted(values)
    if not ordered:
        return None
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) / 2
