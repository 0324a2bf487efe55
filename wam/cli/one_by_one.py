"""Files read one after another for commands that need the picture beside its marks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wam.cli import common
from wam.models.effort import USUAL, Effort
from wam.pipeline.error_line import error_line

if TYPE_CHECKING:
    from payload.registry import Registry
    from wam.pictures.samples import Picture
    from wam.pictures.storage import Location
    from wam.pipeline.read import Findings
    from wam.pipeline.registered_words import RegisteredWords
    from wam.watermarker import Watermarker


@dataclass(frozen=True)
class ReadFile:
    """One file: its ``content``, its first ``picture`` and what was found."""

    content: bytes
    picture: Picture
    findings: Findings


def read_file(
    marker: Watermarker,
    words: RegisteredWords,
    location: Location,
    *,
    anchors: bytes | None = None,
    network: bool = False,
    effort: Effort = USUAL,
    debug: bool = False,
) -> ReadFile | None:
    """A file with its marks and its manifest; None where it could not be read, which is said in one line."""
    from wam.pictures.storage import fetch
    from wam.pipeline.read import ReadSteps, judge
    from wam.provenance.manifest_state import read_manifest

    try:
        content, name = fetch(location)
        steps = ReadSteps(marker, effort=effort, labels=words.labels)
        pictures = steps.open(content, name=name)
        findings = judge(steps.examine(pictures), words)
        if anchors is not None or (network and findings.credentials.state == "remote"):
            state = read_manifest(content, pictures[0].format, anchors=anchors, network=network)
            findings = replace(findings, credentials=state)
    except common.EXPECTED_ERRORS as error:
        if debug:
            raise
        common.report(error_line(str(location), error))
        return None
    return ReadFile(content, pictures[0], findings)


def words_of(registries: Sequence[Registry]) -> RegisteredWords:
    """The words in use, read once for all files."""
    from wam.pipeline.registered_words import RegisteredWords

    return RegisteredWords(registries)
