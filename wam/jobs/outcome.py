"""What an engine says of each input, in input order, whichever engine it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from wam.jobs.plan import Item, Source
from wam.pipeline.contract import DetectObject, EmbedObject, detect_object, embed_object
from wam.pipeline.marked import MarkReport
from wam.pipeline.read import AnyReading, Candidate, Findings, Reading
from wam.pipeline.similar import Lookalike


@dataclass(frozen=True)
class EmbedResult:
    """One marked file under the names that were given; ``notes`` beyond the report's own; ``replaced`` another file of
    its name, not the input."""

    image: str
    output: str
    report: MarkReport
    replaced: bool = False
    notes: tuple[str, ...] = ()

    def to_dict(self) -> EmbedObject:
        """The contract's object for one image."""
        return embed_object(self.report, image=self.image, output=self.output, notes=self.notes)


@dataclass(frozen=True)
class EmbedOutcome:
    """One of three: ``result`` of a file now marked, ``earlier`` line of one that was done before, ``error``."""

    item: Item
    result: EmbedResult | None = None
    earlier: dict[str, Any] | None = None
    error: Exception | None = None


@dataclass(frozen=True)
class DetectOutcome:
    """One of two: ``findings`` of a file, or ``error``."""

    source: Source
    findings: Findings | None = None
    error: Exception | None = None

    @property
    def readings(self) -> tuple[AnyReading, ...]:
        """Its marks."""
        return () if self.findings is None else self.findings.readings

    @property
    def alike(self) -> tuple[Lookalike, ...]:
        """Registered pictures that look alike, where such were asked for."""
        similar = None if self.findings is None else self.findings.similar
        return () if similar is None else similar.pictures

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The records that its marks could be of, where no word alone says so."""
        return tuple(one for reading in self.readings if isinstance(reading, Reading) for one in reading.candidates)

    def to_dict(self, *, model: str, message: str | None, candidates: bool = False) -> DetectObject:
        """The contract's object for one image; ``message``: the line on its error; ``candidates``: with those."""
        name = str(self.source.location)
        return detect_object(self.findings, image=name, model=model, error=message, candidates=candidates)
