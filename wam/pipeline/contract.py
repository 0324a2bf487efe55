"""The JSON objects of ``embed`` and ``detect``, said once: what other programs may rely on.

Each field's annotation says what it means; the JSON Schema beside this module (``contract.schema.json``) and the
tables of docs/json.md are made from these classes by ``scripts/contract_schema.py``. A change that breaks a reader
raises ``SCHEMA``; new keys may be added without.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from statistics import fmean
from typing import TYPE_CHECKING, Annotated, Any, Literal, NotRequired, cast, get_type_hints

from typing_extensions import TypedDict  # pydantic, which makes the schema, takes no other before Python 3.12

from payload.records.record import Record
from payload.sketch import Binding
from wam.errors import mask_secrets
from wam.pipeline.contract_origin import BindingObject as BindingObject
from wam.pipeline.contract_origin import CredentialsObject as CredentialsObject
from wam.pipeline.contract_origin import LabelObject as LabelObject
from wam.pipeline.contract_origin import credentials_object, label_object
from wam.pipeline.contract_records import (
    CandidateObject,
    RecordObject,
    SimilarObject,
    candidate_object,
    record_object,
    similar_object,
)
from wam.pipeline.contract_records import LookalikeObject as LookalikeObject
from wam.pipeline.options import Mode

if TYPE_CHECKING:  # torch comes with them: who only says or reads the objects does without
    from wam.models.protocol import FoundPose
    from wam.pipeline.marked import MarkReport
    from wam.pipeline.read import AnyReading, Findings
    from wam.pipeline.record_marks import FoundRecord
    from wam.region import Region
    from wam.watermarker import Detection

SCHEMA: Literal[1] = 1
"""Version of the objects."""

Status = Literal["verified", "unverified", "withdrawn", "unregistered", "unreadable"]


class RegionObject(TypedDict):
    """Where a mark is, in pixels of the file as a viewer shows it."""

    bbox: Annotated[list[int], "x, y, width, height"]
    area: Annotated[float, "share of the picture, 0 to 1"]
    polygons: Annotated[list[list[list[int]]], "outer outlines, each a list of x, y"]


class PoseObject(TypedDict):
    """How the marked picture lies in the file."""

    scale: Annotated[float, "1: as a whole picture of this size is marked"]
    rotation_deg: Annotated[float, "counter-clockwise"]
    flipped: Annotated[bool, "left to right"]
    negative: NotRequired[Annotated[bool, "light and dark are exchanged; before 0.3.0 not said"]]


class MarksObject(TypedDict):
    """Marks of a record in the pixels."""

    read: int
    needed: int | None
    embedded: int | None


class MarkLabelObject(TypedDict):
    """What a mark says of itself beside its word."""

    known: Annotated[bool, "whether it is of one of the registries asked; false: of another registry"]
    namespace: Annotated[str | None, "the registry's, 16 hexadecimal digits; null where it is another's"]
    generation: Annotated[int | None, "of the registry's words; null where it is another's"]


class WatermarkObject(TypedDict):
    """One watermark."""

    status: Annotated[Status, "see above"]
    mode: Annotated[Mode, "``link`` or ``record``"]
    link: Annotated[str | None, "the short link; null in record mode and where no word was accepted"]
    record: Annotated[RecordObject | None, "asset, owner, user and time; null where unknown"]
    message: Annotated[str | None, "the accepted word, 32 characters, or null"]
    bits: Annotated[str | None, "the 32 bits as read"]
    bit_confidence: Annotated[list[float] | None, "chance of each bit to be right, 0.5 to 1"]
    corrected: Annotated[int | None, "how many of the bits were wrong"]
    log10_p: Annotated[
        float,
        "log10 of the chance of such a result without a watermark, all poses, regions and records that were "
        "tried counted",
    ]
    mask_score: Annotated[float, "mean confidence of the mask, 0 to 1"]
    region: Annotated[
        RegionObject,
        "``bbox`` (x, y, width, height), ``polygons`` (outer outlines) in pixels, ``area`` as share of the picture",
    ]
    pose: Annotated[
        PoseObject,
        "``scale`` (1: as a whole picture of this size is marked), ``rotation_deg`` counter-clockwise, ``flipped`` "
        "left to right, ``negative``: read with light and dark exchanged",
    ]
    transplanted: Annotated[bool, "true for a mark on a picture other than its own"]
    binding: Annotated[
        Binding | None,
        "``own``: the mark lies on the picture that was marked, or a part of it; ``other``: on another one; "
        "``unbound``: that cannot be checked; null without a record",
    ]
    registry: Annotated[
        str | None, "the registry asked whose record it is, or who took it back, the first of several; null without one"
    ]
    also_in: Annotated[list[str], "other registries asked, in which the word stands for another record"]
    label: Annotated[
        MarkLabelObject | None,
        "whose mark it says it is: one of the registries asked, or another; null for a mark that does not say",
    ]
    name_log10_p: Annotated[
        float | None,
        "where a record is named by its link, log10 of the chance that a mark of another registry would have been "
        "given a name here too, where it was read with a key of one that has the same key; null where none is named",
    ]
    candidates: NotRequired[
        Annotated[list[CandidateObject], "with ``--candidates`` only: records that an unregistered mark could be of"]
    ]
    marks: NotRequired[Annotated[MarksObject, "of records only: marks read, needed and embedded"]]
    protection: NotRequired[Annotated[str | None, "of records only: how it is sealed"]]
    problem: NotRequired[Annotated[str | None, "of records only: why it is unreadable"]]


class DetectObject(TypedDict):
    """What ``detect`` says of an image."""

    image: Annotated[str, "as given"]
    width: Annotated[int | None, "pixels, as shown"]
    height: Annotated[int | None, "pixels, as shown"]
    model: Annotated[str, "NAME@HASH8"]
    watermarks: Annotated[list[WatermarkObject], "an empty list where there is none"]
    complete: Annotated[bool, "false where not all of the file was searched: it is cut short, or could not be read"]
    reason: Annotated[str | None, "why it is not complete; null where it is, or where ``error`` says so"]
    schema: Annotated[Literal[1], "version of this object"]
    error: Annotated[str | None, "null, or the line on standard error"]
    label: Annotated[LabelObject | None, "the label in the metadata, and whether a watermark agrees"]
    credentials: Annotated[CredentialsObject | None, "the C2PA manifest; null where the file could not be read"]
    contradictions: Annotated[
        list[str], "what manifest, label and the manifest kept of a mark say against each other, mostly empty"
    ]
    similar: NotRequired[
        Annotated[
            SimilarObject, "with ``--similar`` only: registered pictures that look alike, which no watermark says"
        ]
    ]


class EmbedObject(TypedDict):
    """What ``embed`` says of an image; of one that could not be marked most is null."""

    image: Annotated[str, "as given"]
    output: Annotated[str | None, "where the marked file is"]
    width: Annotated[int | None, "pixels, as shown"]
    height: Annotated[int | None, "pixels, as shown"]
    mode: Annotated[Mode, "``link`` or ``record``"]
    record: Annotated[RecordObject | None, "asset, owner, user and time"]
    link: Annotated[str | None, "the short link; null in record mode"]
    messages: Annotated[list[str] | None, "the words that were marked, 32 characters each"]
    psnr_db: Annotated[float | None, "of the saved file against the input"]
    ssim: Annotated[float | None, "of the saved file against the input"]
    self_check: Annotated[
        Literal["passed", "failed"] | None, "whether the file reads back; null where it did not come to that"
    ]
    model: Annotated[str, "NAME@HASH8"]
    schema: Annotated[Literal[1], "version of this object"]
    error: Annotated[str | None, "null, or the line on standard error"]
    lost: Annotated[list[str] | None, "what the file could not carry over"]
    notes: Annotated[list[str] | None, "what a person should know"]
    frames: Annotated[int | None, "how many were marked"]
    labelled: Annotated[bool | None, "whether the metadata say the same"]
    marks: NotRequired[Annotated[MarksObject | None, "in record mode only: marks read, needed and embedded"]]
    manifest: NotRequired[Annotated[str, "with content credentials only: URN of the C2PA manifest"]]


def embed_object(report: MarkReport, *, image: str, output: str | None, notes: Iterable[str] = ()) -> EmbedObject:
    """The object for a marked file; ``notes`` beyond the report's own."""
    values: EmbedObject = {
        "image": mask_secrets(image),
        "output": output and mask_secrets(output),
        "width": report.width,
        "height": report.height,
        "mode": report.mode,
        "record": record_object(report.record),
        "link": report.link,
        "messages": report.messages,
        "psnr_db": round(report.psnr_db, 2),
        "ssim": round(report.ssim, 4),
        "self_check": "passed",
        "model": report.model,
        "schema": SCHEMA,
        "error": None,
        "lost": list(report.lost),
        "notes": [*report.notes, *notes],
        "frames": report.frames,
        "labelled": report.labelled,
    }
    if report.marks is not None:
        marks = report.marks
        values["marks"] = {"read": marks.read, "needed": marks.needed, "embedded": len(report.words)}
    if report.manifest is not None:
        values["manifest"] = report.manifest.id
    return values


def earlier_object(line: Mapping[str, Any]) -> EmbedObject:
    """The object for a file that an earlier run marked, from the manifest's line on it; of 0.2.0 as well."""
    said = {name: line[name] for name in get_type_hints(EmbedObject) if name in line}
    return cast(EmbedObject, {**said, "schema": SCHEMA})


def failed_object(
    *, image: str, mode: Mode, record: Record | None, model: str, error: BaseException | None, message: str
) -> EmbedObject:
    """The object for a file that could not be marked; ``message`` is the line that says why."""
    values: EmbedObject = {
        "image": mask_secrets(image),
        "output": None,
        "width": None,
        "height": None,
        "mode": mode,
        "record": None if record is None else record_object(record),
        "link": None,
        "messages": None,
        "psnr_db": None,
        "ssim": None,
        "self_check": "failed" if error is not None and _is_of_self_check(error) else None,
        "model": model,
        "schema": SCHEMA,
        "error": message,
        "lost": None,
        "notes": None,
        "frames": None,
        "labelled": None,
    }
    if mode == "record":
        values["marks"] = None
    return values


def _is_of_self_check(error: BaseException) -> bool:
    from wam.pipeline.marked import SelfCheckError

    return isinstance(error, SelfCheckError)


def detect_object(
    findings: Findings | None, *, image: str, model: str, error: str | None = None, candidates: bool = False
) -> DetectObject:
    """The object for a file that was read, or that could not be: ``findings`` None and ``error`` the line on it;
    ``candidates``: with the records that marks could be of."""
    readings = () if findings is None else findings.readings
    values: DetectObject = {
        "image": mask_secrets(image),
        "width": None if findings is None else findings.width,
        "height": None if findings is None else findings.height,
        "model": model,
        "watermarks": [watermark_object(reading, candidates=candidates) for reading in readings],
        "complete": findings is not None and findings.complete,
        "reason": None if findings is None else findings.reason,
        "schema": SCHEMA,
        "error": error,
        "label": None if findings is None or findings.label is None else label_object(findings.label, findings),
        "credentials": None if findings is None else credentials_object(findings),
        "contradictions": [] if findings is None else list(findings.contradictions),
    }
    if findings is not None and findings.similar is not None:
        values["similar"] = similar_object(findings.similar)
    return values


def watermark_object(reading: AnyReading, *, candidates: bool = False) -> WatermarkObject:
    """The object for one watermark, with its ``candidates`` where asked for; what only single words have is null for a
    record."""
    said = _watermark_object(reading)
    if candidates:
        said["candidates"] = [candidate_object(one) for one in getattr(reading, "candidates", ())]
    return said


def _watermark_object(reading: AnyReading) -> WatermarkObject:
    from wam.pipeline.record_marks import FoundRecord

    if isinstance(reading, FoundRecord):
        return _found_record_object(reading)
    match, detection = reading.match, reading.detection
    return {
        "status": match.status,
        "mode": "link",
        "link": reading.link,
        "record": None if reading.record is None else record_object(reading.record),
        "message": match.message,
        "bits": match.bits,
        "bit_confidence": [round(value, 3) for value in match.bit_confidence],
        "corrected": match.corrected,
        "log10_p": round(match.log10_p, 2),
        "mask_score": detection.mask_score,
        "region": region_object(reading.region),
        "pose": pose_object(detection.pose, detection.pose.scale),
        "transplanted": reading.transplanted,
        "binding": reading.binding,
        "registry": reading.registry,
        "also_in": list(reading.also_in),
        "label": mark_label_object(detection),
        "name_log10_p": None if reading.name_log10_p is None else round(reading.name_log10_p, 2),
    }


def _found_record_object(found: FoundRecord) -> WatermarkObject:
    reading = found.reading
    return {
        "status": cast(Status, found.status),
        "mode": "record",
        "link": None,
        "record": None if reading.record is None else record_object(reading.record),
        "marks": {"read": reading.read, "needed": reading.needed, "embedded": reading.embedded},
        "protection": reading.protection,
        "problem": reading.problem,
        "message": None,
        "bits": None,
        "bit_confidence": None,
        "corrected": None,
        "log10_p": round(reading.log10_p, 2),
        "mask_score": round(fmean(one.mask_score for one in found.detections), 4),
        "region": region_object(found.region),
        "pose": pose_object(found.detections[0].pose, found.scale),
        "transplanted": found.transplanted,
        "binding": found.binding,
        "registry": None,
        "also_in": [],
        "label": None,
        "name_log10_p": None,
    }


def region_object(region: Region) -> RegionObject:
    """The object for a region."""
    return {
        "bbox": list(region.bbox),
        "area": round(region.area, 4),
        "polygons": [[list(point) for point in polygon] for polygon in region.polygons],
    }


def region_of(said: RegionObject) -> Region:
    """The region that an object is of."""
    from wam.region import Region

    x, y, width, height = said["bbox"]
    polygons = tuple(tuple((x, y) for x, y in polygon) for polygon in said["polygons"])
    return Region((x, y, width, height), said["area"], polygons)


def pose_object(pose: FoundPose, scale: float) -> PoseObject:
    """The object for a pose whose scale is relative to a whole picture's."""
    return {
        "scale": round(scale, 3),
        "rotation_deg": pose.rotation_deg,
        "flipped": pose.flipped,
        "negative": pose.negative,
    }


def mark_label_object(detection: Detection) -> MarkLabelObject | None:
    """The object for what a mark says of itself beside its word."""
    if detection.label is None:
        return {"known": False, "namespace": None, "generation": None} if detection.foreign else None
    label = detection.label
    return {"known": True, "namespace": f"{label.namespace:016x}", "generation": label.generation}
