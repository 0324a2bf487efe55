"""One verdict on a file from all that says where it comes from: mark, manifest, label, and manifests kept of the mark.

| verdict      | means                                                                                       |
|--------------|---------------------------------------------------------------------------------------------|
| confirmed    | the manifest of a trusted signer names the mark that is there                                |
| marked       | a mark whose record is known; no trusted signer says more                                   |
| signed       | the manifest of a trusted signer, which names no mark of this toolkit                       |
| unconfirmed  | what anyone may have written: a label, a manifest of any signer, a mark without a record     |
| contradicted | what is there says different things, or a manifest is broken                                |
| nothing      | nothing says where it comes from                                                            |

Anyone can make a root and sign with it that a picture of another's, mark and all, was made so or so: a manifest counts
only where a root vouches for its signer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from wam.errors import show_name
from wam.pipeline.read import Findings, Reading
from wam.provenance.aigc_label import Label
from wam.provenance.iptc_fields import AI_FIELDS, same_value
from wam.provenance.manifest_state import ManifestState
from wam.provenance.source_types import GENERATED_KINDS, TAKEN_KINDS, kinds

Verdict = Literal["confirmed", "marked", "signed", "unconfirmed", "contradicted", "nothing"]


@dataclass(frozen=True)
class Judgement:
    """The verdict with its ``reasons`` and the ``contradictions`` among them, one line each."""

    verdict: Verdict
    reasons: tuple[str, ...]
    contradictions: tuple[str, ...] = ()


def judge_origin(findings: Findings, kept: Sequence[ManifestState] = ()) -> Judgement:
    """What it all comes to. ``kept``: manifests that the registry has of the marks that were read."""
    contradictions = tuple(_contradictions(findings, kept))
    reasons = (*contradictions, *_reasons(findings))
    if contradictions:
        return Judgement("contradicted", reasons, contradictions)
    credentials, verified = findings.credentials, any(_is_known(one) for one in findings.readings)
    trusted = credentials.state == "trusted"
    if trusted and findings.credentials_agree:
        return Judgement("confirmed", reasons)
    if verified:
        return Judgement("marked", reasons)
    if trusted:
        return Judgement("signed", reasons)
    if findings.readings or findings.label is not None or credentials.state != "absent":
        return Judgement("unconfirmed", reasons)
    return Judgement("nothing", reasons)


def _is_known(reading: object) -> bool:
    """Whether a mark's record is known, and is not that of another picture."""
    return getattr(reading, "status", None) == "verified" and not getattr(reading, "transplanted", False)


def _contradictions(findings: Findings, kept: Sequence[ManifestState]) -> Iterator[str]:
    said, label = findings.credentials, findings.label
    if said.state == "broken":
        yield f"the manifest is broken: {said.problems[0] if said.problems else 'it cannot be read'}"
    if findings.credentials_agree is False:
        named = ", ".join(value.hex() for value in said.own_values)
        found = ", ".join(name.value.hex() for name in findings.names) or "none"
        yield f"the manifest names the mark {named}, the picture carries {found}"
    if findings.label_agrees is False:
        yield "the label names a mark that the picture does not carry"
    for reading in findings.readings:
        if reading.transplanted:
            yield f"the mark {getattr(reading, 'link', None) or 'of a record'} was made for another picture"
        if isinstance(reading, Reading) and reading.status == "withdrawn":
            yield f"the record behind {reading.link} was withdrawn"
    if label is not None:
        yield from _in_label(label)
    if not said.holds:
        return
    declared = kinds(said.source_types)
    if declared <= TAKEN_KINDS and declared:
        what = ", ".join(sorted(declared))
        if label is not None and label.says_generated:
            yield f"the manifest says {what}, the label says that it was generated"
        for one in kept:
            if one.manifest != said.manifest and kinds(one.source_types) & GENERATED_KINDS:
                yield f"the manifest says {what}, that of its mark says that it was generated"
    metadata = dict(said.metadata)
    for name in (*AI_FIELDS, "source_type") if label is not None else ():
        in_file = show_name(getattr(label, name))  # as what a manifest says is read: a prompt may have several lines
        if in_file and metadata.get(name) and not same_value(in_file, metadata[name]):
            yield f"the manifest's metadata and the file's say different things of {name}"
    if declared & GENERATED_KINDS and label is not None and not label.value and label.says_taken:
        yield f"the manifest says that it was generated, the label says {', '.join(sorted(kinds([label.source_type])))}"


def _in_label(label: Label) -> Iterator[str]:
    """What the metadata of one file say against themselves."""
    if label.says_generated and label.says_taken:
        what = ", ".join(sorted(kinds([label.source_type])))
        yield f"the label says that it was generated, and {what} in the same metadata"
    if label.conflicts:
        yield f"the metadata say different things in different places: {', '.join(label.conflicts)}"


def _reasons(findings: Findings) -> Iterator[str]:
    said = findings.credentials
    if said.holds:
        signer = said.signer or "an unnamed signer"
        trust = "a trusted root vouches for it" if said.state == "trusted" else "who that is, no trusted root says"
        yield f"the manifest holds, signed by {signer}: {trust}"
    elif said.state != "broken":
        why = f": {said.problems[0]}" if said.problems else ""
        yield {"absent": "there is no manifest", "remote": "the manifest is elsewhere and was not fetched"}.get(
            said.state, "there is a manifest that was not read"
        ) + why
    if findings.credentials_agree:
        yield "the manifest names the mark that the picture carries"
    for reading in findings.readings:
        record = reading.record
        named = f" of {record.owner}" if record is not None and reading.status == "verified" else ""
        yield f"a mark, {reading.status}{named}"
    if not findings.readings:
        yield "no mark was found"
    if findings.label is not None:
        said_so = "a label says that it was generated"
        yield said_so if findings.label.says_generated else "a label states the kind of source"
    if findings.reason is not None:
        yield findings.reason
