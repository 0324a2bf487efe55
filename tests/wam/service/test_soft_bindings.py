"""The Soft Binding Resolution API: what it answers, to whom, and that it is what its description says."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from payload import Record, parse_link
from payload.registry.manifests import Binding
from payload.registry.reservations import Wanted
from tests.wam.provenance.c2pa_files import (
    Certificates,
    assertions_of,
    certificates,
    read_independently,
    statement,
)
from tests.wam.provenance.c2pa_files import picture as noise
from tests.wam.service.served import Served, in_threads, picture
from tests.wam.synthetic import handmade_marker, smooth_picture, varied_picture
from wam.pictures.files import encode_image, read_image
from wam.pipeline.loaded import load
from wam.pipeline.mark_link import LinkMarking
from wam.pipeline.mark_record import RecordMarking
from wam.pipeline.mark_signed import keep_manifest, signed
from wam.pipeline.marked import MarkedFile
from wam.pipeline.marking import Request, mark_one
from wam.pipeline.options import MarkOptions
from wam.provenance.jumbf import read_store
from wam.provenance.signing import SignedFile, sign_file
from wam.provenance.soft_value import MarkName
from wam.provenance.source_types import GENERATED
from wam.service.fetch_url import Fetcher
from wam.service.roles import Role

BASE = "/c2pa/v1"
ALG = "wam-lattice-1"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with in_threads(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture(scope="module")
def marked(service: Served, signer: Certificates) -> MarkedFile:
    """A picture that was marked and signed, its manifest kept in the service's registry."""
    return marked_in(service, signer, picture())


def marked_in(service: Served, signer: Certificates, content: bytes) -> MarkedFile:
    registry, record = service.house.registry, Record("1", "acme")
    (reserved,) = registry.reserve([Wanted(record)])
    marking = signed(LinkMarking(MarkOptions(c2pa=True)), signer.credentials(source_type=GENERATED))
    loaded = load(content, name="in.png", keep=True)
    done = mark_one(handmade_marker(), marking, Request(loaded, record, reserved.entry.word))
    registry.confirm(reserved.entry.word, phash=done.report.phash)
    keep_manifest(registry, done.report)
    return done


def stripped(done: MarkedFile) -> bytes:
    image = read_image(done.content)
    return encode_image(image.pixels, like=read_image(picture()), format="PNG", name="copy.png")[0]


def value_of(done: MarkedFile) -> str:
    return base64.b64encode(parse_link(str(done.link)).to_bytes(4, "big")).decode()


def matches(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    assert set(answer.json()) == {"matches"}
    return [one["manifestId"] for one in answer.json()["matches"]]


def other(signer: Certificates, value: bytes = b"\1\2\3\4", seed: int = 0) -> SignedFile:
    said = statement("PNG", values=(value,), source_type=GENERATED)
    return sign_file(noise("PNG", seed=seed), said, signer.credentials(), name="a")


def png(pixels: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def id_of(done: MarkedFile) -> str:
    assert done.report.manifest is not None
    return done.report.manifest.id


class TestMatches:
    def test_by_binding(self, service: Served, marked: MarkedFile) -> None:
        query = {"alg": ALG, "value": value_of(marked)}
        asked = service.anyone.get(f"{BASE}/matches/byBinding", params=query)
        assert matches(asked) == [id_of(marked)]
        assert matches(service.anyone.post(f"{BASE}/matches/byBinding", json=query)) == [id_of(marked)]

    def test_algorithm_and_value_have_to_agree(self, service: Served, marked: MarkedFile) -> None:
        for query in ({"alg": "other", "value": value_of(marked)}, {"alg": ALG, "value": "AAAA"}):
            assert matches(service.anyone.get(f"{BASE}/matches/byBinding", params=query)) == []

    def test_by_content(self, service: Served, marked: MarkedFile) -> None:
        def asked(content: bytes, **query: str) -> httpx.Response:
            headers = {"Content-Type": "image/png"}
            return service.anyone.post(f"{BASE}/matches/byContent", content=content, headers=headers, params=query)

        copy = stripped(marked)
        assert b"c2pa" not in copy
        assert matches(asked(copy)) == matches(asked(copy, alg=ALG, maxResults="1")) == [id_of(marked)]
        assert matches(asked(copy, alg="another")) == []
        assert matches(asked(picture(seed=3))) == []
        assert asked(b"no picture").status_code == 400

    def test_by_content_without_a_mark_the_looks_lead_back(self, service: Served, signer: Certificates) -> None:
        place, headers = f"{BASE}/matches/byContent", {"Content-Type": "image/png"}
        buffer = io.BytesIO()
        Image.fromarray(varied_picture(seed=5)).save(buffer, "PNG")  # smooth ones show too little for a fingerprint
        plain = buffer.getvalue()
        marked = marked_in(service, signer, plain)
        found = service.anyone.post(place, content=plain, headers=headers)
        assert matches(found) == [id_of(marked)] and found.headers["wam-matched-by"] == "fingerprint"
        assert 88 <= found.json()["matches"][0]["similarityScore"] < 100
        by_mark = service.anyone.post(place, content=stripped(marked), headers=headers)
        assert by_mark.headers["wam-matched-by"] == "mark"
        assert by_mark.json()["matches"][0]["similarityScore"] == 100
        only = service.anyone.post(place, content=plain, headers=headers, params={"alg": ALG})
        assert matches(only) == [] and "wam-matched-by" not in only.headers
        (named,) = service.anyone.get(f"{BASE}/services/supportedAlgorithms").json()["fingerprints"]
        assert matches(service.anyone.post(place, content=plain, headers=headers, params=named)) == [id_of(marked)]

    def test_a_labelled_mark_is_found_by_its_whole_name_and_by_its_word(
        self, service: Served, signer: Certificates
    ) -> None:
        word = 0x0A0B0C0D
        names = [MarkName(word, generation, True) for generation in (1, 2)]
        kept = {}
        for seed, name in enumerate((*names, MarkName(word)), 20):
            store = other(signer, name.value, seed=seed).manifest
            stored = service[Role.MARKER].post(
                f"{BASE}/manifests", content=store, headers={"Content-Type": "application/c2pa"}
            )
            kept[stored.json()["manifestId"]] = name
        ids = list(kept)

        def asked(value: bytes) -> dict[str, int]:
            query = {"alg": ALG, "value": base64.b64encode(value).decode()}
            answer = service.anyone.get(f"{BASE}/matches/byBinding", params=query)
            return {one["manifestId"]: one["similarityScore"] for one in answer.json()["matches"]}

        assert asked(names[0].value) == {ids[0]: 100, ids[2]: 50}
        assert asked(names[1].value) == {ids[1]: 100, ids[2]: 50}
        assert asked(MarkName(word).value) == {ids[2]: 100, ids[0]: 50, ids[1]: 50}
        assert asked(MarkName(word, 3, True).value) == {ids[2]: 50}

    def test_a_record_in_the_pixels_leads_to_its_manifest(self, service: Served, signer: Certificates) -> None:
        marking = signed(RecordMarking(MarkOptions("record", c2pa=True)), signer.credentials(source_type=GENERATED))
        loaded = load(png(smooth_picture(512, 768)), name="in.png", keep=True)
        done = mark_one(handmade_marker(), marking, Request(loaded, Record("9", "acme")))
        assert done.report.manifest is not None and len(done.report.words) > 1
        headers = {"Content-Type": "application/c2pa"}
        store = done.report.manifest.store
        assert service[Role.MARKER].post(f"{BASE}/manifests", content=store, headers=headers).status_code == 200
        copy = png(read_image(done.content).pixels)
        found = service.anyone.post(f"{BASE}/matches/byContent", content=copy, headers={"Content-Type": "image/png"})
        assert matches(found) == [id_of(done)] and found.headers["wam-matched-by"] == "mark"

    def test_a_manifest_that_does_not_name_the_mark_is_no_match(
        self, service: Served, marked: MarkedFile, signer: Certificates
    ) -> None:
        forged = other(signer, seed=7)
        value = base64.b64decode(value_of(marked))
        service.house.registry.manifests.keep(forged.id, forged.manifest, [Binding(ALG, value)])
        asked = service.anyone.get(f"{BASE}/matches/byBinding", params={"alg": ALG, "value": value_of(marked)})
        assert matches(asked) == [id_of(marked)]

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ({}, 400),
            ({"alg": ALG}, 400),
            ({"alg": ALG, "value": "not base64!"}, 400),
            ({"alg": ALG, "value": "====", "maxResults": "1"}, 400),
            ({"alg": ALG, "value": "AAAA", "maxResults": "0"}, 400),
            ({"alg": ALG, "value": "A" * 2000}, 414),
        ],
    )
    def test_queries_that_make_no_sense(self, service: Served, query: dict[str, str], status: int) -> None:
        answer = service.anyone.get(f"{BASE}/matches/byBinding", params=query)
        assert answer.status_code == status and isinstance(answer.json()["error"], str)

    def test_bodies_that_make_no_sense(self, service: Served) -> None:
        place = f"{BASE}/matches/byBinding"
        for body in (b"", b"[]", b'{"alg": 1, "value": "AAAA"}', b"{" * 5000):
            answer = service.anyone.post(place, content=body, headers={"Content-Type": "application/json"})
            assert answer.status_code == 400 and "expected" in answer.json()["error"]
        assert service.anyone.post(place, content=b"{}").status_code == 415
        long = service.anyone.post(place, json={"alg": ALG, "value": "A" * 2000})
        assert long.status_code == 413
        wrong = service.anyone.post(f"{BASE}/matches/byContent", content=b"x", headers={"Content-Type": "audio/wav"})
        assert wrong.status_code == 415

    def test_by_reference_is_refused_where_nothing_is_fetched(self, service: Served) -> None:
        said = {"referenceUrl": "https://example.com/a.png", "assetLength": 5}
        answer = service.anyone.post(f"{BASE}/matches/byReference", json=said)
        assert answer.status_code == 403 and "fetches nothing" in answer.json()["error"]


class TestReference:
    class Fetcher:
        """Gives a picture, whatever is asked for."""

        def __init__(self, content: bytes) -> None:
            self.content = content

        def fetch(self, url: str) -> bytes:
            return self.content

    def test_a_picture_elsewhere(self, tmp_path: Path, marked: MarkedFile, signer: Certificates) -> None:
        fetcher = self.Fetcher(stripped(marked))
        kept = marked.report.manifest
        assert kept is not None
        with in_threads(tmp_path, fetcher=fetcher, fetch_urls=True) as one:  # type: ignore[arg-type]
            one.house.registry.manifests.keep(kept.id, kept.store, [Binding(kept.algorithm, v) for v in kept.values])
            place = f"{BASE}/matches/byReference"
            size = len(fetcher.content)
            good = one.anyone.post(place, json={"referenceUrl": "https://a.example/a.png", "assetLength": size})
            assert matches(good) == [kept.id]
            for said in (
                {"referenceUrl": "http://a.example/a.png", "assetLength": size},
                {"referenceUrl": "https://a.example/a.png"},
                {"referenceUrl": "https://a.example/a.png", "assetLength": True},
                {"referenceUrl": "https://a.example/a.png", "assetLength": size + 1},
                {
                    "referenceUrl": "https://a.example/a.png",
                    "assetLength": size,
                    "region": [{"type": "frame", "frame": {"start": 0, "end": 0}}],
                },
            ):
                assert one.anyone.post(place, json=said).status_code == 400
            able = one.anyone.get(f"{BASE}/services/capabilities").json()["supportedCapabilities"]
            assert "queryByReference" in able

    def test_what_is_elsewhere_and_does_not_come(self, tmp_path: Path) -> None:
        nobody = Fetcher(max_bytes=1, seconds=1, resolve=lambda host, port: [])
        with in_threads(tmp_path, fetcher=nobody, fetch_urls=True) as one:
            said = {"referenceUrl": "https://a.example/a.png", "assetLength": 1}
            answer = one.anyone.post(f"{BASE}/matches/byReference", json=said)
            assert answer.status_code == 502 and "found none" in answer.json()["error"]


class TestManifests:
    def test_a_manifest_is_given_as_it_was_kept(self, service: Served, marked: MarkedFile) -> None:
        answer = service.anyone.get(f"{BASE}/manifests/{id_of(marked)}")
        assert answer.status_code == 200 and answer.headers["content-type"] == "application/c2pa"
        assert marked.report.manifest is not None and answer.content == marked.report.manifest.store
        binding = assertions_of(answer.content)["c2pa.soft-binding"]
        assert base64.b64encode(binding["blocks"][0]["value"]).decode() == value_of(marked)

    def test_the_active_one_alone(self, service: Served, signer: Certificates) -> None:
        from wam.provenance.signing import Ingredient

        source = Ingredient(other(signer, seed=8).content, "image/png", "a.png")
        said = statement("PNG", has_source=True)
        two = sign_file(noise("PNG", seed=9), said, signer.credentials(), source=source, name="a")
        headers = {"Content-Type": "application/c2pa"}
        stored = service[Role.MARKER].post(f"{BASE}/manifests", content=two.manifest, headers=headers)
        assert stored.json() == {"manifestId": two.id}
        whole = service.anyone.get(f"{BASE}/manifests/{two.id}").content
        active = service.anyone.get(f"{BASE}/manifests/{two.id}", params={"returnActiveManifest": "true"}).content
        assert [len(read_store(store).superboxes) for store in (whole, active)] == [2, 1]
        assert read_store(active).superboxes[0].label == two.id

    def test_storing_binding_and_deleting(self, service: Served, signer: Certificates) -> None:
        new, headers = other(signer, b"\5\6\7\x08", seed=10), {"Content-Type": "application/c2pa"}
        place, marker = f"{BASE}/manifests", service[Role.MARKER]
        assert service.anyone.post(place, content=new.manifest, headers=headers).status_code == 401
        stored = marker.post(place, content=new.manifest, headers=headers, params={"returnReceipt": "true"})
        assert stored.status_code == 200 and stored.json()["manifestId"] == new.id
        query = {"alg": ALG, "value": base64.b64encode(b"\5\6\7\x08").decode()}
        assert matches(service.anyone.get(f"{BASE}/matches/byBinding", params=query)) == [new.id]
        receipt = stored.json()["receipt"]
        proof = base64.b64decode(receipt["anchor"]["proof"]["value"])
        assert proof == hashlib.sha256(new.manifest).digest()
        assert service.anyone.get(f"{place}/{new.id}/receipts").json() == receipt
        checked = service.anyone.post(f"{place}/{new.id}/receipts", json=receipt)
        assert checked.json()["verified"] is True
        receipt["anchor"]["proof"]["value"] = "AAAA"
        assert service.anyone.post(f"{place}/{new.id}/receipts", json=receipt).json()["verified"] is False
        assert marker.delete(f"{place}/{new.id}").status_code == 403
        assert service[Role.ADMIN].delete(f"{place}/{new.id}").status_code == 204
        assert service[Role.ADMIN].delete(f"{place}/{new.id}").status_code == 404
        assert service.anyone.get(f"{place}/{new.id}").status_code == 404
        assert matches(service.anyone.get(f"{BASE}/matches/byBinding", params=query)) == []

    def test_what_is_no_manifest_is_not_kept(self, service: Served, signer: Certificates) -> None:
        marker, headers = service[Role.MARKER], {"Content-Type": "application/c2pa"}
        whole = other(signer, seed=11).manifest
        forged = whole.replace(b"value\x44\1\2\3\4", b"value\x44\0\0\0\0")
        assert forged != whole
        for body in (b"", b"no manifest", whole[:-50], forged):
            answer = marker.post(f"{BASE}/manifests", content=body, headers=headers)
            assert (
                answer.status_code == 400 and "expected a manifest that is signed and whole" in answer.json()["error"]
            )
        assert marker.post(f"{BASE}/manifests", content=whole).status_code == 415

    def test_bindings(self, service: Served, marked: MarkedFile) -> None:
        marker, place = service[Role.MARKER], f"{BASE}/bindings"
        said = {"manifestId": id_of(marked), "bindingValue": value_of(marked)}
        assert service.anyone.post(place, json=said).status_code == 401
        assert marker.post(place, json=said).status_code == marker.put(place, json=said).status_code == 204
        unknown = {**said, "manifestId": "urn:c2pa:00000000-0000-0000-0000-000000000000"}
        assert marker.post(place, json=unknown).status_code == 404
        assert marker.post(place, json={**unknown, "bindingValue": "no base64!"}).status_code == 404
        assert marker.post(place, json={**said, "bindingValue": "no base64!"}).status_code == 400
        assert marker.post(place, json={"manifestId": id_of(marked)}).status_code == 400


class TestServices:
    def test_what_everybody_may_know(self, service: Served) -> None:
        known = service.anyone.get(f"{BASE}/services/supportedAlgorithms").json()
        assert known["watermarks"] == [{"alg": ALG}]
        assert known["fingerprints"] in ([{"alg": "wam-pdq-1"}], [{"alg": "wam-phash-1"}])  # as pdqhash is installed
        able = service.anyone.get(f"{BASE}/services/capabilities").json()
        assert able["c2paSpecificationVersion"] == "2.4.0"
        assert able["supportedCapabilities"] == ["queryByContent", "storeManifests", "storeBindings"]
        assert service.anyone.get(f"{BASE}/services/status").json()["status"] in ("ok", "degraded")
        place = service.anyone.get("/.well-known/c2pa-soft-binding-resolution").json()
        assert place["apiEndpoint"] == service.url + BASE
        assert httpx.get(place["capabilitiesEndpoint"]).json() == able

    def test_a_stripped_copy_leads_back_to_a_manifest_that_holds(
        self, service: Served, marked: MarkedFile, signer: Certificates
    ) -> None:
        """From the copy to the manifest, and from that to the file that it was signed for."""
        copy = {"content": stripped(marked), "headers": {"Content-Type": "image/png"}}
        (id,) = matches(service.anyone.post(f"{BASE}/matches/byContent", **copy))  # type: ignore[arg-type]
        found = read_independently(marked.content, "PNG", signer.root)
        assert (found["state"], found["active_manifest"]) == ("Trusted", id)


def test_the_api_is_what_its_description_says(service: Served) -> None:
    """Schemathesis makes requests of the description, sense and nonsense, and holds each answer against it."""
    schemathesis = pytest.importorskip("schemathesis", reason="needs schemathesis")
    from hypothesis import HealthCheck, given, settings

    schemathesis.serializer.alias(["application/c2pa", "image/*"], "application/octet-stream")
    schema = schemathesis.openapi.from_url(f"{service.url}/openapi.json")
    chosen = schema.include(path_regex=f"^({BASE}|/.well-known|/oauth2)")
    names = ("response_schema_conformance", "status_code_conformance", "content_type_conformance")
    checks = [schemathesis.checks.CHECKS.get_one(name) for name in names]
    tried = set()
    for found in chosen.get_all_operations():
        operation = found.ok()

        @settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck), database=None)
        @given(case=operation.as_strategy())
        def ask(case) -> None:  # type: ignore[no-untyped-def]
            answer = case.call(headers={"Authorization": service[Role.ADMIN].headers["Authorization"]})
            assert answer.status_code < 500 or answer.status_code == 503, answer.status_code
            case.validate_response(answer, checks=checks)

        ask()
        tried.add(operation.label)
    assert len(tried) == 17
