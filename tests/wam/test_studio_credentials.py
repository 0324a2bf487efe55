"""``Studio(credentials=...)``: what it marks is signed, and its manifest is in the registry."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from PIL import Image

import wam.studio
from payload.registry import Registry
from tests.wam.provenance.c2pa_files import assertions_of, certificates, read_independently
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.studio import Studio


def test_a_picture_is_signed_and_its_manifest_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def light(model: str, **_: Any) -> Any:
        return handmade_marker()

    monkeypatch.setattr(wam.studio, "load_model", light)
    signer = certificates(tmp_path / "certificates")
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    studio = Studio(registry, credentials=signer.credentials(training=False))
    stream = io.BytesIO()
    Image.fromarray(smooth_picture()).save(stream, "PNG")
    done = studio.mark(stream.getvalue(), asset="1", owner="acme")
    found = read_independently(done.content, "PNG", signer.root)
    assert done.report.manifest is not None
    assert (found["state"], found["active_manifest"]) == ("Trusted", done.report.manifest.id)
    kept = registry.manifests.find(done.report.manifest.id)
    assert kept is not None and "cawg.training-mining" in assertions_of(kept.store)
    read = studio.read(done.content)
    assert read.credentials_agree is True and read.credentials.state == "valid"
    again = studio.mark(stream.getvalue(), asset="1", owner="acme")
    assert again.link == done.link
    record = studio.mark(stream.getvalue(), asset="1", owner="acme", format="webp")
    assert read_independently(record.content, "WEBP", signer.root)["state"] == "Trusted"
