"""Certificates, pictures and an independent reader for the tests of content credentials."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2
import numpy as np
from PIL import Image

from wam.pictures.formats import heif_works
from wam.provenance.credentials import CHAIN, KEY, ROOT, Credentials, make_test_chain
from wam.provenance.manifest_definition import Mark, Statement
from wam.provenance.signing import MIME
from wam.signal.specification import SIGNAL

FORMATS = tuple(format for format in MIME if format != "HEIF" or heif_works())
WHOLE = (((0.0, 0.0), (100.0, 0.0), (100.0, 100.0), (0.0, 100.0)),)
VALUE = b"\x01\xfe\x80\x04"


@dataclass(frozen=True)
class Certificates:
    """Files of a test authority."""

    folder: Path

    @property
    def chain(self) -> Path:
        return self.folder / CHAIN

    @property
    def key(self) -> Path:
        return self.folder / KEY

    @property
    def root(self) -> bytes:
        return (self.folder / ROOT).read_bytes()

    def credentials(self, **how: Any) -> Credentials:
        return Credentials.open(self.chain, self.key, **how)


def certificates(folder: Path) -> Certificates:
    make_test_chain(folder)
    return Certificates(folder)


def picture(format: str, *, size: int = 96, seed: int = 0) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, format)
    return stream.getvalue()


def statement(format: str, *, values: Sequence[bytes] = (VALUE,), **said: Any) -> Statement:
    marks = tuple(Mark(value, WHOLE) for value in values)
    return Statement(SIGNAL.name, marks, MIME[format], "a picture", "0", **said)


def read_independently(content: bytes, format: str, root: bytes | None = None) -> dict[str, Any]:
    """What the library's reader says with nothing but the root and the algorithm's name."""
    import c2pa

    settings: dict[str, Any] = {
        "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
        "soft_binding": {"soft_binding_algorithms": ["wam-lattice-1"]},
    }
    if root is not None:
        settings["trust"] = {"user_anchors": root.decode()}
    with c2pa.Reader(MIME[format], io.BytesIO(content), context=c2pa.Context.from_dict(settings)) as reader:
        return {**json.loads(reader.json()), "state": reader.get_validation_state()}


def assertions_of(store: bytes) -> dict[str, Any]:
    """CBOR assertions of the active manifest by label, through a strict reader: boxes are walked anew here."""
    manifest = list(_boxes(store, *_inside(store, 0, len(store))))[-1]
    found = {}
    for start, end in _boxes(store, *manifest):
        if _label(store, start) == "c2pa.assertions":
            for inside in _boxes(store, start, end):
                for kind, body, close in _all(store, *inside):
                    if kind == b"cbor":
                        found[_label(store, inside[0])] = cbor2.loads(store[body:close])
    return found


def _all(store: bytes, start: int, end: int) -> list[tuple[bytes, int, int]]:
    found = []
    while start < end:
        size = int.from_bytes(store[start : start + 4], "big")
        found.append((store[start + 4 : start + 8], start + 8, start + size))
        start += size
    return found


def _boxes(store: bytes, start: int, end: int) -> list[tuple[int, int]]:
    return [(body, close) for kind, body, close in _all(store, start, end) if kind == b"jumb"]


def _inside(store: bytes, start: int, end: int) -> tuple[int, int]:
    ((body, close),) = _boxes(store, start, end)
    return body, close


def _label(store: bytes, body: int) -> str:
    size = int.from_bytes(store[body : body + 4], "big")
    return store[body + 8 + 17 : body + size].split(b"\0")[0].decode()
