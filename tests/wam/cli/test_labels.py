"""Labels of generated pictures from the command line: written, signed over, read back, and contradicted."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.wam.cli.commands import MARK, Run, error_line, files, objects
from wam.pictures.files import read_image
from wam.provenance.source_types import GENERATED, source_type_of

CALIFORNIA = ("--label", "us-ca,eu", "--provider", "Acme AI", "--ai-system", "Painter", "--ai-version", "3.1")
FIELDS = {
    "AISystemUsed": "Painter", "AISystemVersionUsed": "3.1", "ImageSupplierName": "Acme AI",
    "DateCreated": "2026-11-22T09:30:00Z", "DigitalSourceType": GENERATED,
}  # fmt: skip


@pytest.mark.usefixtures("certs")
@pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp"])
def test_fields_are_there_under_a_manifest_that_holds(run: Run, photo: Path, target: str) -> None:
    pytest.importorskip("c2pa", reason="needs c2pa-python")
    from tests.wam.cli.signed import SIGN, TRUST
    from tests.wam.provenance.c2pa_files import read_independently

    given = (*MARK, *CALIFORNIA, "--time", "2026-11-22T09:30:00Z", "-o", target)
    (said,) = objects(run("embed", photo, *given, *SIGN, "--json"))
    content, format = Path(target).read_bytes(), read_image(target).format
    manifest = read_independently(content, format, Path("certs/root.pem").read_bytes())
    assert manifest["state"] == "Trusted"
    (disclosed,) = (
        one["data"] for one in manifest["manifests"][said["manifest"]]["assertions"] if "disclosure" in one["label"]
    )
    assert disclosed["modelName"] == "Painter 3.1"
    in_file = (read_image(target).metadata.xmp or b"").decode()
    for name, value in FIELDS.items():
        assert re.findall(rf"<\w+:{name}>([^<]*)</", in_file) == [value], name
    (found,) = objects(run("detect", target, "--json"))
    label = found["label"]
    assert (label["ai_system"], label["ai_version"], label["provider"]) == ("Painter", "3.1", "Acme AI")
    assert label["identifier"].startswith(f"{said['link']}#") and label["agrees"] is True
    assert label["value"] is None and found["credentials"]["source_types"] == [GENERATED]
    verdict = run("verify", target, "--json", *TRUST)
    assert json.loads(verdict.stdout)["verdict"] == "confirmed"
    # the signature covers the fields: one changed in place breaks it
    Path(target).write_bytes(content.replace(b"Acme AI", b"Other A"))
    broken = run("verify", target, "--json", *TRUST)
    assert broken.exit_code == 3 and "the manifest is broken" in broken.stdout


def test_the_old_spelling_is_the_chinese_label(run: Run, photo: Path) -> None:
    (old,) = objects(run("embed", "--label", photo, *MARK, "-o", "old.png", "--json"))
    (new,) = objects(run("embed", photo, *MARK, "--label", "cn", "-o", "new.png", "--json"))
    assert old["link"] == new["link"] and old["labelled"] is new["labelled"] is True
    assert Path("old.png").read_bytes() == Path("new.png").read_bytes()
    assert (read_image("old.png").metadata.xmp or b"").count(b"TC260:AIGC>") == 2  # opened and closed


def test_a_run_goes_on_with_the_same_label_only(run: Run, photo: Path) -> None:
    given = ("embed", photo, *MARK, "--out-dir", "out", "--resume", "--label", "in", "--ai-system")
    assert run(*given, "Painter").exit_code == 0
    assert "1 skipped" in run(*given, "Painter").stderr
    assert "label was" in run(*given, "Sketcher").stderr


@pytest.mark.parametrize(
    ("options", "line"),
    [
        (["--label", "us-ca"], "--label: expected ai-system and ai-version with us-ca, found none"),
        (["--label=de"], "--label: expected one of cn, eu, us-ca, in, found de"),
        (["--ai-system", "Painter"], "--ai-system: expected --label with it, found none"),
        (["--source-type", "print"], "--source-type: expected --c2pa or --label with it, found none"),
        (["--label", "--source-type", "print"], "--source-type: expected .* with label, found print"),
    ],
)
def test_what_is_missing_is_one_line_and_nothing_is_written(
    run: Run, photo: Path, options: list[str], line: str
) -> None:
    before = files()
    result = run("embed", photo, *MARK, *options)
    assert result.exit_code == 2 and re.search(line, error_line(result)) and files() == before


def test_a_photo_is_not_labelled_unless_it_is_said_what_it_is_now(run: Run, photo: Path) -> None:
    from tests.wam.provenance.test_disclosure import packet
    from wam.pictures.files import encode_image

    picture = read_image(photo)
    camera = packet(f"<i:DigitalSourceType>{source_type_of('digitalCapture')}</i:DigitalSourceType>")
    from dataclasses import replace

    like = replace(picture, metadata=replace(picture.metadata, xmp=camera))
    Path("camera.png").write_bytes(encode_image(picture.pixels, like=like, format="PNG")[0])
    refused = run("embed", "camera.png", *MARK, "--label", "eu")
    assert refused.exit_code == 1 and "says of itself: digitalCapture" in error_line(refused)
    composite = "compositeWithTrainedAlgorithmicMedia"
    (said,) = objects(run("embed", "camera.png", *MARK, "--label", "eu", "--source-type", composite, "--json"))
    assert any("source type was replaced" in note for note in said["notes"])
    (found,) = objects(run("detect", "camera.wm.png", "--json"))
    assert found["label"]["source_type"].endswith(composite)


def test_a_label_against_itself_is_named(run: Run, photo: Path) -> None:
    (said,) = objects(run("embed", photo, *MARK, "--label", "eu", "--ai-system", "Painter", "--json"))
    content = Path(said["output"]).read_bytes()
    kind = b"trainedAlgorithmicMedia"
    assert content.count(kind) == 1
    from wam.pictures.containers.png import SIGNATURE

    assert content.startswith(SIGNATURE)
    changed = content.replace(kind, b"digitalCapture".ljust(len(kind)))
    Path("changed.png").write_bytes(_with_checks(changed))
    verdict = run("verify", "changed.png")
    assert verdict.exit_code == 3
    assert "the label says that it was generated, and digitalCapture in the same metadata" in verdict.stdout


def _with_checks(content: bytes) -> bytes:
    """A PNG with its check sums made anew."""
    import zlib

    found, at = content[:8], 8
    while at < len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        body = content[at + 4 : at + 8 + size]
        found += content[at : at + 4] + body + zlib.crc32(body).to_bytes(4, "big")
        at += size + 12
    return found
