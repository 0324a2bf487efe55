"""The Soft Binding Resolution API of C2PA 2.4 under ``BASE``: from a mark, or a picture that carries one, to the
manifests that name it, and the keeping of manifests. What is kept anyone may read, as a manifest in a file.

Values are base64 in JSON and queries. A match by a mark counts only if the manifest itself names the mark by algorithm
and value, whatever it was entered under: score 100, or 50 where it names the word of a labelled mark and not its
generation. Where no mark leads to a manifest, pictures that look alike do, with a score of 99 at most, which proves
nothing; the header ``Wam-Matched-By`` says which of the two it was.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse, Response

from payload import format_time
from payload.records.record import now
from payload.registry import Registry
from payload.registry.manifests import MOST_BYTES, Binding, Manifest
from wam.pipeline.kept_manifests import PDQ_NAME, PHASH_NAME, Kept, alike, naming, with_value
from wam.provenance.jumbf import active_alone
from wam.provenance.manifest_state import C2PA_MIME, ManifestState, SoftBinding, read_store
from wam.provenance.soft_value import MarkName, entered
from wam.service.bodies import UPLOAD, media_type, wrong_type
from wam.service.fetch_url import NotFetchedError
from wam.service.house import House
from wam.service.problems import Problem, bad_request, unavailable
from wam.service.worker import Lane
from wam.signal.specification import SIGNAL

BASE = "/c2pa/v1"
WELL_KNOWN = "/.well-known/c2pa-soft-binding-resolution"
SPECIFICATION = "2.4.0"
LONGEST_VALUE, LONGEST_ALGORITHM = 1024, 200  # characters of a query
MOST_RESULTS = 100
DEFAULT_RESULTS = 10
WAY_HEADER = "Wam-Matched-By"  # mark or fingerprint
_URN = re.compile(r"urn:(c2pa|uuid):[0-9a-zA-Z:._-]{1,150}")
_CONTEXT = {"c2pa": "https://c2pa.org/", "receipt": "https://c2pa.org/receipt/"}
_RECEIPT_TYPE = "org.c2pa.manifest-receipt"

ValueQuery = Annotated[str, Query(min_length=1, description="The binding's value in base64.")]
AlgQuery = Annotated[str, Query(min_length=1, max_length=LONGEST_ALGORITHM, description="The algorithm's name.")]
OptionalAlgQuery = Annotated[str | None, Query(max_length=LONGEST_ALGORITHM, description="Look for this one only.")]
HintQuery = Annotated[str | None, Query(max_length=LONGEST_VALUE, description="Taken, and not needed.")]
MostQuery = Annotated[int, Query(alias="maxResults", ge=1, description="Matches in the answer, 100 at most.")]
ActiveQuery = Annotated[
    bool, Query(alias="returnActiveManifest", description="The active manifest only, without its ingredients'.")
]
ReceiptQuery = Annotated[bool, Query(alias="returnReceipt", description="With a receipt.")]


class SoftBindings:
    """Its handlers."""

    def __init__(self, house: House) -> None:
        self.house = house

    async def match_value(self, value: ValueQuery, alg: AlgQuery, max_results: MostQuery = DEFAULT_RESULTS) -> Response:
        """Manifests that name a mark."""
        if len(value) > LONGEST_VALUE:
            raise Problem(414, "too-large", f"value: expected at most {LONGEST_VALUE} characters, found more")
        return await self._of_value(alg, _decoded(value), min(max_results, MOST_RESULTS))

    async def match_binding(self, request: Request, max_results: MostQuery = DEFAULT_RESULTS) -> Response:
        """The same of a mark in a body."""
        said = await _json(request)
        alg, value = said.get("alg"), said.get("value")
        if not isinstance(alg, str) or not isinstance(value, str) or len(alg) > LONGEST_ALGORITHM:
            raise bad_request('body: expected {"alg": "NAME", "value": "BASE64"}, found another')
        if len(value) > LONGEST_VALUE:
            raise Problem(413, "too-large", f"value: expected at most {LONGEST_VALUE} characters, found more")
        return await self._of_value(alg, _decoded(value), min(max_results, MOST_RESULTS))

    async def match_content(
        self,
        request: Request,
        alg: OptionalAlgQuery = None,
        hint_alg: Annotated[HintQuery, Query(alias="hintAlg")] = None,
        hint_value: Annotated[HintQuery, Query(alias="hintValue")] = None,
        max_results: MostQuery = DEFAULT_RESULTS,
    ) -> Response:
        """Manifests that name a mark of a picture, which is the body, or else of pictures that look like it."""
        if not media_type(request).startswith("image/"):
            raise wrong_type("image/*")
        content = await request.body()
        if len(content) > self.house.settings.limits.max_bytes:
            raise Problem(
                413, "too-large", "body: expected a smaller picture, found too many bytes; use a smaller copy"
            )
        return await self._of_picture(content, alg, min(max_results, MOST_RESULTS))

    async def match_reference(
        self,
        request: Request,
        alg: OptionalAlgQuery = None,
        hint_alg: Annotated[HintQuery, Query(alias="hintAlg")] = None,
        hint_value: Annotated[HintQuery, Query(alias="hintValue")] = None,
        max_results: MostQuery = DEFAULT_RESULTS,
    ) -> Response:
        """The same of a picture behind an https URL, where the service fetches such."""
        if not self.house.settings.fetch_urls:
            raise Problem(
                403, "not-allowed", "referenceUrl: this service fetches nothing, send the picture to byContent"
            )
        said = await _json(request)
        url, length = said.get("referenceUrl"), said.get("assetLength")
        if not isinstance(url, str) or not url.lower().startswith("https://"):
            raise bad_request("referenceUrl: expected a URL with https, found another")
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise bad_request("assetLength: expected the number of bytes, found another")
        if said.get("region"):
            raise bad_request("region: expected none, as whole pictures are matched; send the part to byContent")
        if length > self.house.settings.limits.max_bytes:
            raise Problem(413, "too-large", "assetLength: expected fewer bytes, found too many; use a smaller copy")
        try:
            content = await asyncio.to_thread(self.house.fetcher.fetch, url)
        except NotFetchedError as problem:
            raise Problem(502, "not-fetched", problem.detail) from None
        if len(content) != length:
            raise bad_request(f"assetLength: expected the {length} bytes that were announced, found {len(content)}")
        return await self._of_picture(content, alg, min(max_results, MOST_RESULTS))

    async def fetch_manifest(self, manifest_id: str, active: ActiveQuery = False) -> Response:
        """A manifest store by the URN of its active manifest."""
        found = await self._find(manifest_id)
        store = await asyncio.to_thread(active_alone, found.store) if active else found.store
        return Response(store, media_type=C2PA_MIME)

    async def store_manifest(self, request: Request, receipt: ReceiptQuery = False) -> Response:
        """Keeps a manifest store, which the marks that it names lead to from now on."""
        if media_type(request) != C2PA_MIME:
            raise wrong_type(C2PA_MIME)
        store = await request.body()
        if len(store) > MOST_BYTES:
            raise Problem(413, "too-large", f"body: expected at most {MOST_BYTES:,} bytes, found more")
        if find_spec("c2pa") is None:
            raise unavailable("manifests: expected the package c2pa-python, found none; tell who runs this")
        state = await asyncio.to_thread(read_store, store)
        if not state.holds or state.manifest is None:
            raise bad_request(f"body: expected a manifest that is signed and whole, found: {_why(state)}")
        bindings = [Binding(one.algorithm, value) for one in state.bindings for value in _entered(one)]
        id = state.manifest

        def keep(registry: Registry) -> None:
            known = registry.manifests.find(id)
            if known is not None and known.store != store:
                raise bad_request("body: expected a new manifest, found another one kept under its id")
            registry.manifests.keep(id, store, bindings)

        await self.house.ask_registry(keep)
        said: dict[str, Any] = {"manifestId": id}
        if receipt:
            said["receipt"] = _receipt(id, store)
        return JSONResponse(said)

    async def delete_manifest(self, manifest_id: str) -> Response:
        """Takes a manifest out."""
        if not await self.house.ask_registry(lambda registry: registry.manifests.delete(_id(manifest_id))):
            raise _unknown()
        return Response(status_code=204)

    async def store_binding(self, request: Request) -> Response:
        """Lets a kept manifest be found by one more mark that it names."""
        said = await _json(request)
        id, value, alg = said.get("manifestId"), said.get("bindingValue"), said.get("alg", SIGNAL.name)
        if not isinstance(id, str) or not isinstance(value, str) or not isinstance(alg, str):
            raise bad_request('body: expected {"manifestId": "URN", "bindingValue": "BASE64"}, found another')
        await self._find(id)
        if len(value) > LONGEST_VALUE or not 0 < len(alg) <= LONGEST_ALGORITHM or not alg.isprintable():
            raise bad_request("bindingValue: expected a short value of an algorithm, found another")
        binding = Binding(alg, _decoded(value))
        if not await self.house.ask_registry(lambda registry: registry.manifests.bind(_id(id), binding)):
            raise _unknown()
        return Response(status_code=204)

    async def replace_binding(self, request: Request) -> Response:
        """The same: a binding that is there stays as it is."""
        return await self.store_binding(request)

    async def show_receipt(self, manifest_id: str) -> Response:
        """What this repository says of a manifest that it keeps."""
        found = await self._find(manifest_id)
        return JSONResponse(_receipt(found.id, found.store))

    async def check_receipt(self, request: Request, manifest_id: str) -> Response:
        """Whether a receipt is that of the manifest that is kept."""
        said = await _json(request)
        found = await self._find(manifest_id)
        own = _receipt(found.id, found.store)
        same = all(said.get(key) == own[key] for key in ("@type", "repository", "anchor"))
        return JSONResponse({**own, "verified": same, **({} if same else {"error": "another receipt"})})

    async def supported_algorithms(self) -> Response:
        """What is read."""
        return JSONResponse({"watermarks": [{"alg": SIGNAL.name}], "fingerprints": [{"alg": _fingerprint_name()}]})

    async def capabilities(self) -> Response:
        """What can be asked."""
        able = ["queryByContent", "storeManifests", "storeBindings"]
        if self.house.settings.fetch_urls:
            able.insert(1, "queryByReference")
        return JSONResponse({"c2paSpecificationVersion": SPECIFICATION, "supportedCapabilities": able})

    async def binding_status(self) -> Response:
        """Whether it answers."""
        up = bool(self.house.pool.pids)
        return JSONResponse({"status": "ok" if up else "degraded", "timestamp": format_time(now())})

    async def well_known(self, request: Request) -> Response:
        """Where it is."""
        root = str(request.base_url).rstrip("/") + BASE
        said = {"apiEndpoint": root, "c2paSpecificationVersion": SPECIFICATION}
        said |= {"capabilitiesEndpoint": f"{root}/services/capabilities", "statusEndpoint": f"{root}/services/status"}
        return JSONResponse(said)

    async def _of_picture(self, content: bytes, alg: str | None, most: int) -> Response:
        """Manifests that name a mark of a picture; where none does, and marks alone were not asked for, those of
        pictures that look alike."""
        limits = self.house.settings.limits
        said = {"do": "detect", "name": UPLOAD, "overlay": "", "frames": False, "thorough": False, "quick": False}
        said |= {"seconds": limits.seconds, "names": True}
        try:
            answer = await self.house.work(said, content, UPLOAD, limits.seconds + limits.grace, Lane.SHORT)
        except Problem as problem:
            if problem.status != 422:
                raise
            raise Problem(400, problem.kind, problem.detail) from None  # C2PA's description knows no 422
        names = [MarkName(word, generation, labelled) for word, generation, labelled in answer.said["names"]]
        pdq, phash = (None if answer.said[name] is None else int(answer.said[name], 16) for name in ("pdq", "phash"))

        def find(registry: Registry) -> list[Kept]:
            found = naming(registry, names, most=most) if alg in (None, SIGNAL.name) else []
            if not found and alg in (None, _fingerprint_name()):
                found = alike(registry, pdq=pdq, phash=phash, most=most)
            return found

        return _matches(await self.house.ask_registry(find))

    async def _of_value(self, alg: str, value: bytes, most: int) -> Response:
        found = await self.house.ask_registry(lambda registry: with_value(registry, alg, value, most=most))
        return _matches(found)

    async def _find(self, manifest_id: str) -> Manifest:
        found = await self.house.ask_registry(lambda registry: registry.manifests.find(_id(manifest_id)))
        if found is None:
            raise _unknown()
        return found


def _matches(found: Sequence[Kept]) -> Response:
    """The answer; in a header which way it was found, where the API has no place for that."""
    matches = [{"manifestId": one.manifest.id, "similarityScore": one.similarity} for one in found]
    return JSONResponse({"matches": matches}, headers={WAY_HEADER: found[0].way} if found else None)


def _entered(binding: SoftBinding) -> tuple[bytes, ...]:
    return entered([binding.value]) if binding.algorithm == SIGNAL.name else (binding.value,)


def _fingerprint_name() -> str:
    return PDQ_NAME if find_spec("pdqhash") is not None else PHASH_NAME


def _receipt(id: str, store: bytes) -> dict[str, Any]:
    """The SHA-256 of what is kept."""
    digest = base64.b64encode(hashlib.sha256(store).digest()).decode()
    place = f"{BASE}/manifests/{id}"
    return {
        "@context": _CONTEXT,
        "@type": _RECEIPT_TYPE,
        "repository": {"uri": BASE, "manifestId": id},
        "anchor": {"uri": place, "proof": {"alg": "sha256", "value": digest}},
    }


def _decoded(value: str) -> bytes:
    try:
        found = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise bad_request("value: expected base64, found another") from None
    if not found:
        raise bad_request("value: expected base64, found nothing in it")
    return found


def _id(text: str) -> str:
    """An id that may be kept; raises ``Problem`` for any other, which none is."""
    if not _URN.fullmatch(text):
        raise _unknown()
    return text


def _unknown() -> Problem:
    return Problem(404, "not-found", "manifest: expected one that is kept here, found none")


def _why(state: ManifestState) -> str:
    return state.problems[0] if state.problems else state.state


async def _json(request: Request) -> dict[str, Any]:
    if media_type(request) != "application/json":
        raise wrong_type("application/json")
    try:
        said = json.loads(await request.body())
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise bad_request("body: expected a JSON object, found another")
    return said
