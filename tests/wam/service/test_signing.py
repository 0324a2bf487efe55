"""Signing over HTTP: what the service marks when asked carries a manifest of its own certificate, which it keeps."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from payload import parse_link
from payload.registry.manifests import Binding
from tests.wam.cli.commands import Run, draw, error_line
from tests.wam.provenance.c2pa_files import Certificates, certificates, read_independently
from tests.wam.service.jobs import finished
from tests.wam.service.served import Served, in_threads, picture, upload
from tests.wam.synthetic import varied_picture
from wam.provenance.credentials import make_test_chain
from wam.provenance.source_types import GENERATED, source_type_of
from wam.service.roles import Role

MARK = {"asset": "1", "owner": "acme"}


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, signer: Certificates) -> Iterator[Served]:
    with in_threads(tmp_path_factory.mktemp("served"), signer=signer.credentials()) as one:
        yield one


def marked(
    service: Served, seed: int = 0, *, content: bytes | None = None, **fields: str
) -> tuple[dict[str, Any], bytes]:
    """The object and the file of one picture that was marked and signed."""
    answer = service[Role.MARKER].post(
        "/v1/embed", **upload(content or picture(seed=seed), c2pa="true", **MARK, **fields),
        headers={"Accept": "multipart/mixed"},
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    edge = answer.headers["content-type"].rpartition("boundary=")[2].encode()
    head, body = (part.partition(b"\r\n\r\n")[2] for part in answer.content.split(b"--" + edge)[1:3])
    return json.loads(head), body.removesuffix(b"\r\n")


def test_a_marked_picture_is_signed_and_its_manifest_kept(service: Served, signer: Certificates) -> None:
    stream = io.BytesIO()
    Image.fromarray(varied_picture(seed=9)).save(stream, "PNG")  # which shows enough for a fingerprint
    said, content = marked(service, content=stream.getvalue())
    found = read_independently(content, "PNG", signer.root)
    assert found["state"] == "Trusted" and found["active_manifest"] == said["manifest"]
    manifest = found["manifests"][said["manifest"]]
    assert [one["title"] for one in manifest["ingredients"]] == ["in.png"]
    kept = service.house.registry.manifests.find(said["manifest"])
    entry = service.house.registry.find_link(said["link"])
    assert kept is not None and entry is not None and (kept.phash, kept.pdq) == (entry.phash, entry.pdq)
    assert (kept.pdq is None) == (find_spec("pdqhash") is None)
    value = parse_link(said["link"]).to_bytes(4, "big")
    assert service.house.registry.manifests.bound_to([Binding("wam-lattice-1", value)]) == [kept.id]
    fetched = service.anyone.get(f"/c2pa/v1/manifests/{said['manifest']}")
    assert fetched.status_code == 200 and fetched.content == kept.store
    assert service.anyone.get("/v1/about").json()["signs"] is True


@pytest.mark.parametrize("format", ["jpg", "webp"])
def test_label_and_source_type_are_signed_over(service: Served, signer: Certificates, format: str) -> None:
    label = {"label": "us-ca", "ai_system": "Painter", "ai_version": "3"}
    said, content = marked(service, 1, format=format, **label)
    found = read_independently(content, {"jpg": "JPEG", "webp": "WEBP"}[format], signer.root)
    assert found["state"] == "Trusted" and said["labelled"] is True
    assert b"AISystemUsed>Painter<" in content
    actions = [
        action
        for one in found["manifests"][said["manifest"]]["assertions"]
        if one["label"].startswith("c2pa.actions")
        for action in one["data"]["actions"]
    ]
    assert actions[0]["digitalSourceType"] == GENERATED


def test_a_camera_may_be_stated(service: Served, signer: Certificates) -> None:
    _, content = marked(service, 2, source_type="digitalCapture")
    assert source_type_of("digitalCapture") in json.dumps(read_independently(content, "PNG", signer.root))
    answer = service[Role.MARKER].post("/v1/embed", **upload(picture(), c2pa="true", source_type="drawing", **MARK))
    assert answer.status_code == 400 and "source type: expected one of" in answer.json()["detail"]


def test_records_in_the_pixels_are_signed_too(service: Served, signer: Certificates) -> None:
    answer = service[Role.MARKER].post(
        "/v1/embed", **upload(picture(size=(512, 768)), mode="record", c2pa="true", **MARK)
    )
    assert answer.status_code == 200, answer.text
    found = read_independently(answer.content, "PNG", signer.root)
    assert found["state"] == "Trusted"
    assert service.house.registry.manifests.find(found["active_manifest"]) is not None


def test_a_job_signs_each_of_its_pictures(service: Served, signer: Certificates) -> None:
    files = [("file", (f"{seed}.png", picture(seed=seed), "image/png")) for seed in (5, 6)]
    label = {"label": "us-ca", "ai_system": "Painter", "ai_version": "3"}
    form = {"asset_from": "name", "owner": "acme", "c2pa": "true", **label}
    job, _ = finished(service, service[Role.MARKER].post("/v1/jobs/embed", files=files, data=form))
    archive = zipfile.ZipFile(io.BytesIO(service[Role.MARKER].get(f"/v1/jobs/{job['id']}/files").content))
    assert len(archive.namelist()) == 2
    for name in archive.namelist():
        assert read_independently(archive.read(name), "PNG", signer.root)["state"] == "Trusted"
        assert b"AISystemUsed>Painter<" in archive.read(name)


def test_what_is_not_signed_is_not_marked(service: Served) -> None:
    taken = len(list(service.house.registry.entries()))
    refused = service[Role.MARKER].post("/v1/embed", **upload(picture(seed=9), c2pa="true", format="bmp", **MARK))
    assert refused.status_code == 422 and "expected a format that takes a manifest" in refused.json()["detail"]
    assert [one.state for one in list(service.house.registry.entries())[taken:]] == ["discarded"]
    assert service.anyone.post("/v1/embed", **upload(picture(), c2pa="true", **MARK)).status_code == 401


def test_a_certificate_that_expires_while_it_serves(tmp_path: Path) -> None:
    make_test_chain(tmp_path / "certs", days=1)
    from wam.provenance.credentials import Credentials

    signer = Credentials.open(tmp_path / "certs" / "chain.pem", tmp_path / "certs" / "key.pem")
    make_test_chain(tmp_path / "old", days=-1)
    object.__setattr__(signer, "chain", (tmp_path / "old" / "chain.pem").read_bytes())  # as if time had passed
    object.__setattr__(signer, "key", (tmp_path / "old" / "key.pem").read_bytes())
    with in_threads(tmp_path, signer=signer) as one:
        answer = one[Role.MARKER].post("/v1/embed", **upload(picture(), c2pa="true", **MARK))
        assert answer.status_code == 503 and "a certificate that is not valid now" in answer.json()["detail"]
        files = {"file": ("a.png", picture())}
        assert one[Role.MARKER].post("/v1/jobs/embed", files=files, data={"c2pa": "true", **MARK}).status_code == 503
        assert list(one.house.registry.entries()) == []


def test_a_service_without_a_certificate_says_so(served: Served) -> None:
    answer = served[Role.MARKER].post("/v1/embed", **upload(picture(), c2pa="true", **MARK))
    assert answer.status_code == 400 and "found one that signs nothing" in answer.json()["detail"]


def test_the_command_has_a_service_sign(
    run: Run, service: Served, served: Served, signer: Certificates, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAM_API_KEY", service[Role.MARKER].headers["authorization"].partition(" ")[2])
    draw("in.png", seed=4)
    given = ("embed", "in.png", "--asset", "7", "--owner", "acme", "--c2pa", "--json", "--server")
    done = run(*given, service.url)
    assert done.exit_code == 0, done.stderr
    found = read_independently(Path("in.wm.png").read_bytes(), "PNG", signer.root)
    assert found["active_manifest"] == json.loads(done.stdout)["manifest"] and found["state"] == "Trusted"
    own = run(*given, service.url, "--sign-cert", "chain.pem")
    assert own.exit_code == 2 and "the service signs with its own" in error_line(own)
    monkeypatch.setenv("WAM_API_KEY", served[Role.MARKER].headers["authorization"].partition(" ")[2])
    none = run(*given, served.url)
    assert none.exit_code == 2 and "found one that has no certificate" in error_line(none)


@pytest.mark.skipif(os.name != "posix", reason="rights of files")
def test_a_key_that_others_may_read_is_refused(run: Run) -> None:
    assert run("c2pa", "test-certs", "certs").exit_code == 0
    Path("certs/key.pem").chmod(0o640)
    result = run("serve", "--sign-cert", "certs/chain.pem", "--sign-key", "certs/key.pem")
    assert result.exit_code == 2 and "its owner alone may read, found mode 640; run chmod 600" in error_line(result)
    half = run("serve", "--sign-cert", "certs/chain.pem")
    assert half.exit_code == 2 and "--sign-key: expected it where a service signs" in error_line(half)
