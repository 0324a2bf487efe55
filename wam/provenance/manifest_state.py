"""What the C2PA manifest of a file says, and whether that holds.

| state   | means                                                                          |
|---------|--------------------------------------------------------------------------------|
| absent  | the file has no manifest                                                       |
| trusted | signature and hashes are right, and a trusted root issued the certificate      |
| valid   | signature and hashes are right; who signed is not known to be trusted          |
| broken  | something is not right: altered, forged, truncated, expired or not to be read  |
| remote  | the file says where its manifest is; nobody is asked unless that is allowed    |
| unread  | there is a manifest, and no library here that reads it                         |
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from wam.errors import WamError, show_name
from wam.provenance.credentials import read_anchors
from wam.provenance.iptc_fields import AI_FIELDS, PROPERTIES
from wam.provenance.signing import settings_for
from wam.signal.specification import SIGNAL

State = Literal["absent", "trusted", "valid", "broken", "remote", "unread"]

TRUST_VARIABLE = "WAM_C2PA_TRUST"  # a file with root certificates, in PEM
UNTRUSTED = "signingCredential.untrusted"
C2PA_MIME = "application/c2pa"
_OF_FILES = ("assertion.dataHash.mismatch", "assertion.bmffHash.mismatch", "assertion.boxesHash.mismatch")
INSTALL = "pip install c2pa-python (the extra [c2pa]) reads it"
MIME: Mapping[str, str] = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "TIFF": "image/tiff",
    "GIF": "image/gif",
    "JXL": "image/jxl",
}
_METADATA = ("cawg.metadata", "c2pa.metadata", "stds.iptc")  # assertions that hold fields of XMP
_LONGEST = 200  # characters of what a manifest says that are shown
_MANY = 64  # of a list in a manifest that are looked at


@dataclass(frozen=True)
class SoftBinding:
    """A mark that a manifest names: ``algorithm``, and its ``value``."""

    algorithm: str
    value: bytes


@dataclass(frozen=True)
class ManifestState:
    """``state`` as above, and what the active manifest says: its ``manifest`` id, the ``signer``'s organisation or
    name, ``signed_at`` by a time stamp, the ``generator``, URIs of the ``source_types`` that its actions state, the
    ``actions`` by name, its soft ``bindings``; the IPTC's fields of generated pictures that its ``metadata`` assertions
    hold, by field; ``problems``: why it is broken, or not read."""

    state: State = "absent"
    manifest: str | None = None
    signer: str | None = None
    signed_at: str | None = None
    generator: str | None = None
    source_types: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    bindings: tuple[SoftBinding, ...] = ()
    problems: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()

    @property
    def holds(self) -> bool:
        """Whether what it says was said by whoever signed it, of this file."""
        return self.state in ("trusted", "valid")

    @property
    def own_values(self) -> tuple[bytes, ...]:
        """The values of marks of this toolkit that it names."""
        return tuple(one.value for one in self.bindings if one.algorithm == SIGNAL.name)


ABSENT = ManifestState()


def may_hold_manifest(content: bytes) -> bool:
    """Whether it is worth asking the library: a quick look, which is wrong only by saying yes."""
    return (b"jumb" in content and b"c2pa" in content) or b"provenance" in content


def read_manifest(content: bytes, format: str, *, anchors: bytes | None = None, network: bool = False) -> ManifestState:
    """The state of a file's manifest; never raises for what is in the file.

    ``format`` as ``Picture`` has it; ``anchors``: trusted root certificates in PEM, None for those of the file that
    ``WAM_C2PA_TRUST`` names; ``network``: manifests that are elsewhere may be fetched.
    """
    if format not in MIME or not may_hold_manifest(content):
        return ABSENT
    return _read(content, MIME[format], anchors=anchors, network=network)


def read_store(store: bytes, *, anchors: bytes | None = None) -> ManifestState:
    """The same of a manifest store without its file: that it is whole and signed, not what of it is a file's."""
    return _read(store, C2PA_MIME, anchors=anchors, network=False)


def _read(content: bytes, mime: str, *, anchors: bytes | None, network: bool) -> ManifestState:
    if find_spec("c2pa") is None:
        return ManifestState("unread", problems=(INSTALL,))
    import c2pa

    try:
        trusted = own_anchors() if anchors is None else anchors
    except WamError as error:
        return ManifestState("unread", problems=(str(error),))
    try:
        context = c2pa.Context.from_dict(settings_for(SIGNAL.name, anchors=trusted, network=network))
        reader = c2pa.Reader.try_create(mime, io.BytesIO(content), context=context)
        if reader is None:
            return ABSENT
        with reader:
            return _state_of(json.loads(reader.json()), alone=mime == C2PA_MIME)
    except Exception as error:  # the library raises several kinds for files that are damaged or forged
        text = " ".join(str(error).split())
        remote = text.startswith("Remote")
        return ManifestState("remote" if remote else "broken", problems=(_short(text or type(error).__name__),))


def own_anchors() -> bytes | None:
    """The roots that ``WAM_C2PA_TRUST`` names; None where it names none. Raises ``CredentialsError``."""
    named = os.environ.get(TRUST_VARIABLE)
    return read_anchors(Path(named)) if named else None


def _state_of(found: Mapping[str, Any], *, alone: bool) -> ManifestState:
    """What the library's report comes to; ``alone``: without a file, whose hash fails then."""
    active = str(found.get("active_manifest") or "")
    manifest = found.get("manifests", {}).get(active) or {}
    results = found.get("validation_results") or {}
    passed = {UNTRUSTED, *(_OF_FILES if alone else ())}
    codes = list(_codes(results))
    failures = [one for one in codes if one[0] not in passed]
    state: State = "trusted" if UNTRUSTED not in dict(codes) else "valid"
    if failures or not manifest or "failure" not in (results.get("activeManifest") or {}):
        state = "broken"
    problems = tuple(dict.fromkeys(_short(f"{code}: {why}" if why else code) for code, why in failures))
    signature = manifest.get("signature_info") or {}
    generators = manifest.get("claim_generator_info") or [{}]
    actions = list(_actions(manifest))
    return ManifestState(
        state,
        _short(active) or None,
        _text(signature.get("issuer")) or _text(signature.get("common_name")),
        _text(signature.get("time")),
        _text(generators[0].get("name")),
        tuple(dict.fromkeys(_short(str(one["digitalSourceType"])) for one in actions if "digitalSourceType" in one)),
        tuple(_short(str(one.get("action"))) for one in actions),
        tuple(_bindings(manifest)),
        problems,
        tuple(_metadata(manifest)),
    )


def _codes(results: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What failed in the active manifest, by code and explanation; an ingredient's failures are its own past."""
    for one in (results.get("activeManifest") or {}).get("failure") or ():
        yield str(one.get("code")), str(one.get("explanation") or "")


def _assertions(manifest: Mapping[str, Any], label: str) -> Iterator[Mapping[str, Any]]:
    """The data of all assertions of a label, of any version and number."""
    for one in (manifest.get("assertions") or ())[:_MANY]:
        named = str(one.get("label", "")).partition("__")[0].removesuffix(".v2")
        if named == label and isinstance(one.get("data"), dict):
            yield one["data"]


def _actions(manifest: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for data in _assertions(manifest, "c2pa.actions"):
        yield from (one for one in (data.get("actions") or ())[:_MANY] if isinstance(one, dict))


def _bindings(manifest: Mapping[str, Any]) -> Iterator[SoftBinding]:
    for data in _assertions(manifest, "c2pa.soft-binding"):
        for block in (data.get("blocks") or ())[:_MANY]:
            value = block.get("value") if isinstance(block, dict) else None
            if isinstance(value, str):
                try:
                    yield SoftBinding(_short(str(data.get("alg"))), base64.b64decode(value, validate=True))
                except (binascii.Error, ValueError):
                    continue


def _metadata(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What its metadata assertions (JSON-LD) say in the fields of generated pictures, the first of each."""
    named = {PROPERTIES[field][2]: field for field in ("source_type", *AI_FIELDS)}
    found: dict[str, str] = {}
    for label in _METADATA:
        for data in _assertions(manifest, label):
            for key, value in data.items():
                field = named.get(key.rpartition(":")[2])
                text = value.get("@id", value.get("@value")) if isinstance(value, dict) else value
                if field is not None and isinstance(text, str) and text.strip():
                    found.setdefault(field, _short(text.strip()))
    yield from found.items()


def _text(value: object) -> str | None:
    return _short(value) if isinstance(value, str) and value else None


def _short(text: str) -> str:
    """One printable line, not too long, whatever a forger put in."""
    line = show_name(text)
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
