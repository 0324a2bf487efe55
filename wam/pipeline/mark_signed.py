"""Content credentials around either kind of marking: mark first, then sign, so that the manifest names the mark.

The signature covers the file with its mark, label and all other metadata, and is made last. A signature and a
manifest's number are new each time, so that the same file marked again has the same pixels and another manifest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from payload.registry import Registry
from payload.registry.manifests import Binding
from wam import __version__
from wam.errors import ModelError, OptionsError, show_name
from wam.networks.strength import Amount
from wam.pictures.containers.parts import CREDENTIALS
from wam.pipeline.loaded import Loaded
from wam.pipeline.marked import KeptManifest, MarkedFile, MarkReport, known_label
from wam.pipeline.marking import Marking, Request
from wam.pipeline.options import MarkOptions
from wam.provenance.credentials import Credentials, CredentialsError
from wam.provenance.fingerprint import fingerprint
from wam.provenance.manifest_definition import Declared, Mark, Statement, mark_of
from wam.provenance.manifest_state import MIME, may_hold_manifest
from wam.provenance.signing import Ingredient, require_format, sign_file
from wam.provenance.soft_value import MarkName, entered
from wam.provenance.source_types import GENERATED
from wam.region import Region
from wam.signal.label import Label
from wam.signal.mark_grid import divide
from wam.stages import tell
from wam.watermarker import Watermarker


def signed(marking: Marking, credentials: Credentials | None) -> Marking:
    """The marking with a manifest where there are credentials; raises ``OptionsError`` where the options say
    otherwise."""
    if (credentials is not None) != marking.options.c2pa:
        raise OptionsError("c2pa: expected credentials where a manifest is wanted and nowhere else; give both or none")
    return marking if credentials is None else SignedMarking(marking, credentials)


@dataclass(frozen=True)
class SignedMarking:
    """A ``Marking`` whose files carry a manifest. The private key goes with it to other processes."""

    marking: Marking
    credentials: Credentials

    @property
    def options(self) -> MarkOptions:
        """How pictures are marked."""
        return self.marking.options

    def plan(self, marker: Watermarker, request: Request) -> Any:
        """As without a manifest, after formats and models that take none are refused."""
        to_be_signed(marker, request.loaded)
        return self.marking.plan(marker, request)

    def draw(
        self, marker: Watermarker, requests: Sequence[Request], plans: Sequence[Any], *, strength: Amount
    ) -> list[NDArray[np.uint8]]:
        """As without a manifest."""
        return self.marking.draw(marker, requests, plans, strength=strength)

    def finish(self, marker: Watermarker, request: Request, plan: Any, pixels: NDArray[np.uint8]) -> MarkedFile:
        """Encodes, reads back and signs. An earlier manifest is kept in the new one."""
        loaded = request.loaded
        request = replace(request, loaded=to_be_signed(marker, loaded))
        done = self.marking.finish(marker, request, plan, pixels)
        tell("signing")
        pdq = fingerprint(pixels if pixels.ndim == 3 else pixels[0])
        algorithm = str(marker.model.description.signal)
        return sign_marked(
            done, loaded, self.options, self.credentials, label=request.label, algorithm=algorithm, pdq=pdq
        )


def sign_marked(
    done: MarkedFile,
    loaded: Loaded,
    options: MarkOptions,
    credentials: Credentials,
    *,
    algorithm: str,
    label: Label | None = None,
    pdq: int | None = None,
) -> MarkedFile:
    """A marked file with its manifest; ``label`` of its mark; ``pdq``: its fingerprint, for whoever keeps it. Raises
    ``CredentialsError``."""
    said, source = state_of(done, loaded, options, credentials.declared, algorithm=algorithm, label=label)
    found = sign_file(done.content, said, credentials, source=source, name=loaded.target)
    kept = KeptManifest(found.id, found.manifest, algorithm, tuple(mark.value for mark in said.marks), pdq)
    digest = hashlib.sha256(found.content).hexdigest()
    return MarkedFile(found.content, replace(done.report, sha256=digest, manifest=kept))


def state_of(
    done: MarkedFile,
    loaded: Loaded,
    options: MarkOptions,
    declared: Declared,
    *,
    algorithm: str,
    label: Label | None = None,
) -> tuple[Statement, Ingredient | None]:
    """What the manifest of a marked file says, and what becomes its ingredient. Raises ``CredentialsError`` where it
    would say nothing of what the picture is."""
    mime, source_type = (
        require_format(loaded.format, loaded.target),
        _source_type(loaded, done.report, options, declared),
    )
    source = _ingredient(loaded)
    if source is None and source_type is None:
        raise CredentialsError(
            f"{show_name(loaded.target)}: expected what the picture is, since a manifest cannot hold a "
            f"{loaded.picture.format}, found nothing said; add --source-type"
        )
    if source_type is not None and source is not None and not may_hold_manifest(source.content):
        source = None  # it is said how the picture was made: what it was before adds nothing
    statement = Statement(
        algorithm=algorithm,
        marks=_marks(done.report, label),
        format=mime,
        title=PurePosixPath(loaded.target).name,
        version=__version__,
        source_type=source_type,
        has_source=source is not None,
        ai_model=_ai_model(options, declared),
        training=declared.training,
    )
    return statement, source


def to_be_signed(marker: Watermarker, loaded: Loaded) -> Loaded:
    """The picture as it is marked when a manifest follows, in which an earlier one is kept and not lost; raises
    ``WamError`` for formats and models that take none."""
    require_format(loaded.format, loaded.target)
    if marker.model.description.signal is None:
        raise ModelError(f"{marker.name}: expected a model whose marks a manifest can name, found one without a signal")
    keeps = loaded.content is not None and loaded.picture.format in MIME
    return replace(loaded, carried=frozenset({CREDENTIALS}) if keeps else frozenset())


def keep_manifest(registry: Registry, report: MarkReport) -> None:
    """Enters a signed file's manifest beside its record; raises ``RegistryError``."""
    kept = report.manifest
    if kept is not None:
        bindings = [Binding(kept.algorithm, value) for value in entered(kept.values)]
        registry.manifests.keep(kept.id, kept.store, bindings, phash=report.phash, pdq=kept.pdq)


def _marks(report: MarkReport, label: Label | None) -> tuple[Mark, ...]:
    """A block for each mark, with its cell of the picture."""
    width, height = report.width, report.height
    generation = None if label is None else label.generation
    return tuple(
        mark_of(
            MarkName(word, generation, label is not None).value,
            Region((cell.left, cell.top, cell.width, cell.height), 1.0, ()),
            width,
            height,
        )
        for word, cell in zip(report.words, divide(height, width, len(report.words)), strict=True)
    )


def _source_type(loaded: Loaded, report: MarkReport, options: MarkOptions, declared: Declared) -> str | None:
    """What the picture is, where anybody has said so: the signer, the label that was asked for, the source's own."""
    if declared.source_type is not None:
        return declared.source_type
    known = known_label(loaded)
    if report.labelled:
        return (options.disclosure and options.disclosure.source_type) or (known and known.source_type) or GENERATED
    return None if known is None else known.source_type or None


def _ai_model(options: MarkOptions, declared: Declared) -> str | None:
    """The model that made the picture: the signer's word, or the label's."""
    said = options.disclosure
    if declared.ai_model is not None or said is None or said.ai_system is None:
        return declared.ai_model
    return f"{said.ai_system} {said.ai_version}" if said.ai_version else said.ai_system


def _ingredient(loaded: Loaded) -> Ingredient | None:
    """What was marked; None for a format that the library does not know."""
    if loaded.content is None or loaded.picture.format not in MIME:
        return None
    return Ingredient(loaded.content, MIME[loaded.picture.format], PurePosixPath(loaded.picture.name).name)
