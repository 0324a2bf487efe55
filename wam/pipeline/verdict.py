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

from wam.pipeline.read import Findings, Reading
from wam.pipeline.statements import contradictions
from wam.provenance.manifest_state import ManifestState

Verdict = Literal["confirmed", "marked", "signed", "unconfirmed", "contradicted", "nothing"]


@dataclass(frozen=True)
class Judgement:
    """The verdict with its ``reasons`` and the ``contradictions`` among them, one line each."""

    verdict: Verdict
    reasons: tuple[str, ...]
    contradictions: tuple[str, ...] = ()


def judge_origin(findings: Findings, kept: Sequence[ManifestState] = ()) -> Judgement:
    """What it all comes to. ``kept``: manifests that the registry has of the marks that were read."""
    contradicted = tuple(_contradicted(findings, kept))
    reasons = (*contradicted, *_reasons(findings, kept))
    if contradicted:
        return Judgement("contradicted", reasons, contradicted)
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


def _contradicted(findings: Findings, kept: Sequence[ManifestState]) -> Iterator[str]:
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
    if label is not None and label.conflicts:
        yield f"the metadata say different things in different places: {', '.join(label.conflicts)}"
    yield from contradictions(said, label, kept)


def _reasons(findings: Findings, kept: Sequence[ManifestState]) -> Iterator[str]:
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
    if kept and not said.holds:
        yield "a manifest is kept for its mark: wam recover gives it back"
    if findings.credentials_agree:
        yield "the manifest names the mark that the picture carries"
    for reading in findings.readings:
        record = reading.record
        named = f" of {record.owner}" if record is not None and reading.status == "verified" else ""
        yield f"a mark, {reading.status}{named}{', read with light and dark exchanged' if reading.negative else ''}"
    if not findings.readings:
        yield "no mark was found"
    if findings.label is not None:
        said_so = "a label says that it was generated"
        yield said_so if findings.label.says_generated else "a label states the kind of source"
    if findings.reason is not None:
        yield findings.reason
