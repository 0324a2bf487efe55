"""One result as the public, a partner or the staff are shown it.

The law that asks for public detectors forbids personal data in their answers, and whoever may ask a detector without
limit learns from exact scores how to wear a mark away (docs/threat-model.md). The public view therefore says whose
mark it is and where; its chances stop at what was tested, as people are told them, and bits and links are left out. Nor
does it say that a mark was read with light and dark exchanged, which would tell who subtracts one that it was too much.
"""

from __future__ import annotations

from typing import Annotated, NotRequired

from wam.pipeline.chance import borne_out
from wam.pipeline.contract import CredentialsObject, DetectObject, LabelObject, WatermarkObject
from wam.service.roles import View

PERSONAL = ("ai_prompt", "ai_prompt_writer")  # of what a manifest's metadata say, as of a label


class ServedWatermark(WatermarkObject):
    """One watermark as the service says it."""

    marked_by: Annotated[str | None, "the owner in a verified record; null for others, which anyone may have written"]


class ServedDetect(DetectObject):
    """What the service says of a picture: the object of ``wam detect --json``, and what is beside it."""

    watermarks: list[ServedWatermark]  # type: ignore[misc]  # the same with a key more
    view: Annotated[View, "public, partner or staff: what was left out"]
    overlay: NotRequired[Annotated[str, "link of the picture with each watermark outlined, for some minutes"]]
    masks: NotRequired[Annotated[list[str], "links of a mask for each watermark, white where it is"]]


def served(found: DetectObject, view: View) -> ServedDetect:
    """A result with what a view does not show taken out."""
    marks = [_watermark(mark, view) for mark in found["watermarks"]]
    label = found["label"]
    if label is not None and view is View.PUBLIC:
        label = _public_label(label)
    shown: ServedDetect = {**found, "watermarks": marks, "label": label, "view": view}  # type: ignore[typeddict-item]
    if found["credentials"] is not None:
        shown["credentials"] = _credentials(found["credentials"], view)
    if view is not View.STAFF:  # a likeness proves nothing that others could use, and tells of the registry
        shown.pop("similar", None)
    return shown


def _watermark(mark: WatermarkObject, view: View) -> ServedWatermark:
    record = mark["record"]
    owner = record["owner"] if record is not None and mark["status"] == "verified" else None
    named: ServedWatermark = {**mark, "marked_by": owner}
    if view is View.STAFF:
        return named
    named["registry"], named["also_in"] = None, []  # where they are is for those who run the service
    named.pop("candidates", None)  # a record that is not named is nobody's who asks
    if view is View.PARTNER:
        named["record"] = None if record is None else {**record, "user": None}
        return named
    named["record"] = named["link"] = named["message"] = named["bits"] = None
    named["bit_confidence"] = named["corrected"] = named["name_log10_p"] = None
    named["log10_p"] = borne_out(mark["log10_p"])
    named["mask_score"] = round(mark["mask_score"], 1)
    named["pose"] = mark["pose"].copy()
    named["pose"].pop("negative", None)
    return named


def _credentials(said: CredentialsObject, view: View) -> CredentialsObject:
    """What the manifest says, for the public without what may stand for a person; why none can be read is told to
    staff, as it may name a file of the service's."""
    shown = said.copy()
    if view is View.PUBLIC:
        shown["metadata"] = {name: value for name, value in said["metadata"].items() if name not in PERSONAL}
    if view is not View.STAFF and said["state"] == "unread":
        shown["problems"] = []
    return shown


def _public_label(label: LabelObject) -> LabelObject:
    """What the label says of the picture, without the numbers that may stand for a person or a request."""
    return {
        "value": label["value"],
        "producer": label["producer"],
        "produce_id": None,
        "reserved1": None,
        "propagator": label["propagator"],
        "propagate_id": None,
        "reserved2": None,
        "source_type": label["source_type"],
        "ai_system": label["ai_system"],
        "ai_version": label["ai_version"],
        "ai_prompt": None,
        "ai_prompt_writer": None,
        "provider": label["provider"],
        "created": label["created"],
        "identifier": None,
        "conflicts": label["conflicts"],
        "agrees": label["agrees"],
    }
