"""Signing a marked file: a C2PA manifest whose soft binding holds byte strings, put into the file whole or not at all.

The library signs what it writes itself, texts where byte strings belong (see ``manifest_definition``). So

1. it makes the manifest and its place in the file, with a signature that is nobody's;
2. the bytes are put in: the marks' values, then the hash of their assertion in the action that points to it, then the
   hashes of both in the claim, all of the same length as what stood there;
3. the claim is signed, and the library makes the signature's box with it, with the time stamp where one is asked for;
4. the file is read as a stranger would, and refused unless all of it is right.
"""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wam.errors import ImageError, show_name
from wam.packages import require
from wam.provenance.credentials import Credentials, CredentialsError
from wam.provenance.embedded_store import replace_store
from wam.provenance.jumbf import Superbox, assertion_hash, read_store
from wam.provenance.manifest_definition import ACTIONS, HASH_PLACE, SOFT_BINDING, SOURCE, Statement, define

MIME = {
    "JPEG": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
    "TIFF": "image/tiff",
}
"""Formats that are signed."""

_TEXT, _BYTES = 3, 2  # major types of CBOR (RFC 8949, section 3)
_SIGNATURE_SIZES = {"ES256": 64, "ES384": 96, "ES512": 132, "ED25519": 64}
_SIGN1 = b"\x84\x6aSignature1"  # how the bytes start that COSE signs

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True)
class Ingredient:
    """The file that was marked, as the manifest keeps it: with the manifest that it had, if it had one."""

    content: bytes = field(repr=False)
    mime: str
    title: str


@dataclass(frozen=True)
class SignedFile:
    """``content`` with its manifest; the ``manifest`` alone, as a store; and its ``id``."""

    content: bytes = field(repr=False)
    manifest: bytes = field(repr=False)
    id: str


def settings_for(algorithm: str, *, anchors: bytes | None = None, network: bool = False) -> dict[str, Any]:
    """Settings of the library: our own algorithm is known, and it asks nobody unless allowed."""
    values: dict[str, Any] = {
        "version": 1,
        "verify": {"verify_after_sign": False, "remote_manifest_fetch": network, "ocsp_fetch": network},
        "soft_binding": {"soft_binding_algorithms": [algorithm]},
        "builder": {"thumbnail": {"enabled": False}},
    }
    if anchors is not None:
        values["trust"] = {"user_anchors": anchors.decode("utf-8", "replace")}
    return values


def require_format(format: str, name: str) -> str:
    """The MIME type of a format; raises ``ImageError`` for one that is not signed."""
    if format not in MIME:
        raise ImageError.about(
            name,
            expected=f"a format that takes a manifest ({', '.join(sorted(MIME))})",
            found=format,
            remedy="write a .png, or leave out --c2pa",
        )
    return MIME[format]


def sign_file(
    content: bytes, statement: Statement, credentials: Credentials, *, source: Ingredient | None = None, name: str
) -> SignedFile:
    """A file with a manifest; raises ``CredentialsError`` where it cannot be signed or does not read back.

    ``name``: what errors call it.
    """
    require("c2pa", needed_by="signing content credentials")
    import c2pa

    try:
        return _sign(content, statement, credentials, source)
    except (c2pa.C2paError, ValueError) as error:
        raise CredentialsError(
            f"{show_name(name)}: expected to sign its manifest, found: {show_name(_one_line(error))}; "
            "nothing was written"
        ) from error


def _sign(content: bytes, statement: Statement, credentials: Credentials, source: Ingredient | None) -> SignedFile:
    import c2pa

    context = c2pa.Context.from_dict(settings_for(statement.algorithm))
    asked: list[bytes] = []

    def nobody(data: bytes) -> bytes:
        asked.append(data)
        return bytes([1]) * _signature_size(credentials)

    definition = define(statement)
    builder = c2pa.Builder.from_json(json.dumps(definition.json), context)
    if source is not None:
        said = {"title": source.title, "relationship": "parentOf", "label": SOURCE}
        try:
            builder.add_ingredient(json.dumps(said), source.mime, io.BytesIO(source.content))
        except c2pa.C2paError as error:
            what = f"that of {source.title} cannot be kept in it ({_one_line(error)}); take it out of the source first"
            raise ValueError(what) from error
    written = io.BytesIO()
    with _signer(nobody, credentials, None) as signer:
        store = builder.sign(signer, statement.format, io.BytesIO(content), written)
    (data,) = asked
    finished, claim_before, claim = _with_bytes(store, definition.places)
    if not data.endswith(claim_before) or not data.startswith(_SIGN1):
        raise ValueError("the library signs something other than the claim")
    signature = credentials.sign(data[: -len(claim_before)] + claim)
    finished = _with_signature(finished, _signature_box(signature, statement, credentials, context))
    whole = replace_store(written.getvalue(), store, finished)
    return SignedFile(whole, finished, _require_right(whole, statement, context))


def _signature_size(credentials: Credentials) -> int:
    size = _SIGNATURE_SIZES.get(credentials.algorithm)
    return size if size is not None else len(credentials.sign(b""))


def _signer(sign: Sign, credentials: Credentials, tsa: str | None) -> Any:
    import c2pa

    algorithm = getattr(c2pa.C2paSigningAlg, credentials.algorithm)
    return c2pa.Signer.from_callback(sign, algorithm, credentials.chain.decode("ascii", "replace"), tsa)


def _with_bytes(store: bytes, places: tuple[tuple[str, bytes], ...]) -> tuple[bytes, bytes, bytes]:
    """The store with byte strings in their places and hashes that follow, and its claim before and after."""
    manifest = read_store(store).superboxes[-1]  # the last is the active one
    assertions, claims = manifest.child("c2pa.assertions"), manifest.child("c2pa.claim.v2")
    binding = assertions and assertions.child(SOFT_BINDING)
    actions = assertions and assertions.child(ACTIONS)
    if binding is None or actions is None or claims is None:
        raise ValueError("the library wrote no soft binding, no actions or no claim")
    before = {one.label: assertion_hash(store, one) for one in (binding, actions)}
    changed = bytearray(store)
    _put(changed, binding, "", b"", after="pad")
    for text, value in places:
        _put(changed, binding, text, value, after="value")
    _put(changed, actions, HASH_PLACE, assertion_hash(bytes(changed), binding), after="hash")
    (box,) = claims.contents
    claim_before = bytes(changed[box.body : box.end])
    claim = claim_before
    for one in (binding, actions):
        if claim.count(before[one.label]) != 1:
            raise ValueError(f"the claim does not refer to {one.label} by its SHA-256")
        claim = claim.replace(before[one.label], assertion_hash(bytes(changed), one))
    changed[box.body : box.end] = claim
    return bytes(changed), claim_before, claim


def _put(store: bytearray, assertion: Superbox, text: str, value: bytes, *, after: str) -> None:
    """Puts a byte string in the place of the text that is the value of a key, whether the library wrote it as such or,
    knowing better, as a byte string."""
    key = _head(_TEXT, len(after)) + after.encode()
    places = []
    for kind in (_TEXT, _BYTES):
        old = key + _head(kind, len(text)) + text.encode()
        at = store.find(old, assertion.box.start, assertion.box.end)
        if at >= 0:
            places += [at] * store.count(old, assertion.box.start, assertion.box.end)
    if len(places) != 1:
        raise ValueError(f"the library wrote {assertion.label} in another way than expected: no place for {after}")
    new = key + _head(_BYTES, len(value)) + value
    store[places[0] : places[0] + len(new)] = new


def _head(kind: int, size: int) -> bytes:
    """The first bytes of a CBOR text or byte string."""
    if size < 24:
        return bytes([kind << 5 | size])
    return bytes([kind << 5 | 24, size]) if size < 256 else struct.pack(">BH", kind << 5 | 25, size)


def _signature_box(signature: bytes, statement: Statement, credentials: Credentials, context: Any) -> bytes:
    """The COSE structure around a signature, with its time stamp: the library makes it for a small picture, whose own
    claim it is not."""
    import c2pa

    action = {"action": "c2pa.created", "digitalSourceType": "http://c2pa.org/digitalsourcetype/empty"}
    small = {
        "claim_version": 2,
        "claim_generator_info": [{"name": "wam", "version": statement.version}],
        "assertions": [{"label": ACTIONS, "data": {"actions": [action]}, "created": True}],
    }
    builder = c2pa.Builder.from_json(json.dumps(small), context)
    with _signer(lambda _: signature, credentials, credentials.tsa) as signer:
        store = builder.sign(signer, "image/png", io.BytesIO(_small_png()), io.BytesIO())
    start, end = _signature_place(store)
    return bytes(store[start:end])


def _with_signature(store: bytes, box: bytes) -> bytes:
    start, end = _signature_place(store)
    if end - start != len(box):
        raise ValueError(f"the signature takes {len(box)} bytes, its place has {end - start}")
    return store[:start] + box + store[end:]


def _signature_place(store: bytes) -> tuple[int, int]:
    found = read_store(store).superboxes[-1].child("c2pa.signature")
    if found is None:
        raise ValueError("the library wrote no signature")
    (box,) = found.contents
    return box.body, box.end


def _require_right(content: bytes, statement: Statement, context: Any) -> str:
    """The manifest's id, of a file that reads back as valid, whoever trusts its root."""
    import c2pa

    with c2pa.Reader(statement.format, io.BytesIO(content), context=context) as reader:
        found = json.loads(reader.json())
        state = reader.get_validation_state()
    failures = found.get("validation_results", {}).get("activeManifest", {}).get("failure", [])
    wrong = [one["code"] for one in failures if one["code"] != "signingCredential.untrusted"]
    if wrong or state not in ("Valid", "Trusted"):
        raise ValueError(f"it does not read back: {', '.join(wrong) or state}")
    return str(found["active_manifest"])


def _small_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixels = zlib.compress(b"\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
