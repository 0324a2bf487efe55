"""``wam detect --verbose``: how each result was reached, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from wam.errors import show_name
from wam.pipeline.chance import show_chance

if TYPE_CHECKING:
    from wam.models.protocol import SearchSummary
    from wam.pipeline.read import AnyReading, Findings
    from wam.watermarker import Detection


SUSPICIOUS = (
    "energy is missing where a mark's pattern would lie, as in 1 of 1,000 unmarked photos and 2 to 8 of 100 drawings: "
    "a mark may have been subtracted"
)


def explain(location: str, findings: Findings, keys: Sequence[bytes | None]) -> Iterator[str]:
    """Lines on one file: what the search did, then each mark in the order of the results; ``keys`` of the reader."""
    name, searches = show_name(location), findings.searches
    if not searches:
        yield f"{name}: no search to tell of: this model has one pass at one size"
    for number, search in enumerate(searches, start=1):
        frame = f" frame {number}" if len(searches) > 1 else ""
        yield f"{name}:{frame} {_search(search)}"
    if not findings.readings:
        yield f"{name}: nothing found; {_nearest(searches)}"
    if not findings.readings and any(search.suspicious for search in searches):
        yield f"{name}: {SUSPICIOUS}"
    for place, reading in enumerate(findings.readings, start=1):
        for detection in _detections(reading):
            yield f"{name}: {place}. {_mark(reading, detection, searches)}{_key(detection, keys)}"


def _key(detection: Detection, keys: Sequence[bytes | None]) -> str:
    """Which key a mark was read with, where there are several."""
    if len(keys) < 2:
        return ""
    return ", read with your key" if keys[detection.key] is not None else ", read with the public key"


def _search(search: SearchSummary) -> str:
    """Passes with the sizes seen, regions, best score."""
    count = len(search.views)
    regions = f"{search.tried} region{'' if search.tried == 1 else 's'} tried"
    sizes = ", ".join(f"{width}x{height}" for height, width in search.views)
    return (
        f"{count} network pass{'es' if count > 1 else ''} (at {sizes}), {regions}; "
        f"strongest score {search.strongest:.1f}, threshold {search.threshold:.1f}"
    )


def _nearest(searches: tuple[SearchSummary, ...]) -> str:
    """How far the best try was from being a mark."""
    if not searches:
        return "no marked part is large enough, or its word is not registered"
    best = max(searches, key=lambda search: search.strongest - search.threshold)
    if best.strongest < best.threshold:
        return f"the strongest pose is {best.threshold - best.strongest:.1f} below the threshold"
    return "what reached the threshold is too likely by chance, or did not hold when it was read"


def _detections(reading: AnyReading) -> tuple[Detection, ...]:
    """The marks that a result rests on: one, or those of a record."""
    from wam.pipeline.record_marks import FoundRecord

    return reading.detections if isinstance(reading, FoundRecord) else (reading.detection,)


def _mark(reading: AnyReading, detection: Detection, searches: tuple[SearchSummary, ...]) -> str:
    """One mark: its word, the way it was found, score, chance and pose."""
    x, y, width, height = detection.region.bbox
    threshold = f" (threshold {searches[0].threshold:.1f})" if searches else ""
    pose = detection.pose
    angle = round(pose.rotation_deg, 1) + 0.0  # no minus zero
    word = show_chance(reading.log10_p)  # of a record: of all its marks
    whole = "" if word == show_chance(detection.log10_p) else f" as a mark, {word} with all of it"
    turned = f"scale {pose.scale:.2f}, turned {angle:.1f} degrees"
    turned += f"{', mirrored' if pose.flipped else ''}{', negative' if pose.negative else ''}"
    return (
        f"{reading.link or reading.status}: {detection.how or 'one pass at one size'}; "
        f"score {detection.score:.1f}{threshold}, chance {show_chance(detection.log10_p)}{whole}; "
        f"{_label(detection)}{turned}; region {x},{y} {width}x{height}"
    )


def _label(detection: Detection) -> str:
    """Whose mark it says it is, where it says so."""
    if detection.foreign:
        return "labelled by another registry, read from half of its frequencies; "
    if detection.label is None:
        return ""
    return f"label of {detection.label.namespace:016x}, generation {detection.label.generation}; "
