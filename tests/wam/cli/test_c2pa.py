"""Content credentials from the command line: embed signs, detect and verify read, recover leads back."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from PIL import Image

from payload import parse_link
from payload.codes.short_link import parse_link_parts
from payload.registry import Registry
from payload.registry.manifests import Binding
from tests.wam.cli.commands import MARK, Run, draw, error_line, files, objects
from tests.wam.cli.signed import CAMERA, SIGN, other_signed, sign, strip
from tests.wam.provenance.c2pa_files import assertions_of, picture, read_independently, statement
from wam.pictures.files import read_image
from wam.pictures.formats import heif_works
from wam.provenance.credentials import Credentials, make_test_chain
from wam.provenance.signing import sign_file
from wam.provenance.soft_value import MarkName
from wam.provenance.source_types import GENERATED

pytestmark = pytest.mark.usefixtures("certs")

HEIC = ("out.heic",) if heif_works() else ()


class TestEmbed:
    @pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp", "out.tif", "out.avif", *HEIC])
    def test_the_manifest_names_the_mark(self, run: Run, photo: Path, target: str) -> None:
        said = sign(run, photo, "-o", target, "--source-type", "digitalCapture")
        content, format = Path(target).read_bytes(), read_image(target).format
        found = read_independently(content, format, Path("certs/root.pem").read_bytes())
        assert found["state"] == "Trusted" and found["active_manifest"] == said["manifest"]
        kept = Registry.open().manifests.find(str(said["manifest"]))
        assert kept is not None and kept.phash is not None
        binding = assertions_of(kept.store)["c2pa.soft-binding"]
        word = parse_link(str(said["link"]))
        assert [block["value"] for block in binding["blocks"]] == [word.to_bytes(4, "big")]
        assert Registry.open().manifests.bound_to([Binding("wam-lattice-1", word.to_bytes(4, "big"))]) == [kept.id]

    def test_without_a_source_type_the_source_is_an_ingredient(self, run: Run, photo: Path) -> None:
        said = sign(run, photo)
        found = read_independently(Path("in.wm.png").read_bytes(), "PNG")
        manifest = found["manifests"][said["manifest"]]
        (ingredient,) = manifest["ingredients"]
        assert (ingredient["title"], ingredient["relationship"]) == ("in.png", "parentOf")
        (actions,) = (one["data"]["actions"] for one in manifest["assertions"] if one["label"] == "c2pa.actions.v2")
        assert [one["action"] for one in actions] == ["c2pa.opened", "c2pa.watermarked.bound"]
        assert "digitalSourceType" not in actions[0]

    def test_a_label_states_the_source_type(self, run: Run, photo: Path) -> None:
        said = sign(run, photo, "--label")
        assert said["labelled"] is True
        (found,) = objects(run("detect", "in.wm.png", "--json"))
        assert found["credentials"]["source_types"] == [GENERATED]
        assert found["credentials"]["actions"][0] == "c2pa.created"
        assert (found["label"]["agrees"], found["credentials"]["agrees"]) == (True, True)

    def test_an_earlier_manifest_is_kept_and_not_lost(self, run: Run, photo: Path) -> None:
        other_signed("camera.png", source_type=CAMERA, content=photo.read_bytes())
        lost = objects(run("embed", "camera.png", *MARK, "-o", "plain.png", "--json"))[0]["lost"]
        assert lost == ["content credentials (C2PA)"]
        said = sign(run, Path("camera.png"), "--in-place")
        assert said["lost"] == []
        found = read_independently(Path("camera.png").read_bytes(), "PNG")
        assert len(found["manifests"]) == 2 and found["active_manifest"] == said["manifest"]

    def test_record_mode_names_every_mark(self, run: Run) -> None:
        draw("large.png").unlink()
        from tests.wam.synthetic import smooth_picture

        Image.fromarray(smooth_picture(512, 768)).save("large.png")
        said = sign(run, Path("large.png"), "--mode", "record", "-o", "out.png")
        found = read_independently(Path("out.png").read_bytes(), "PNG")["manifests"][said["manifest"]]
        (binding,) = (one["data"] for one in found["assertions"] if one["label"] == "c2pa.soft-binding")
        assert len(binding["blocks"]) == len(said["messages"]) > 1
        (found_again,) = objects(run("detect", "out.png", "--json"))
        assert found_again["credentials"]["agrees"] is True

    def test_a_folder_that_goes_on_is_not_signed_twice(self, run: Run) -> None:
        for name in ("photos/a.png", "photos/b.png"):
            draw(name)
        assert run("embed", "photos", *MARK, *SIGN, "--out-dir", "out").exit_code == 0
        before = Path("out/a.png").read_bytes()
        again = run("embed", "photos", *MARK, *SIGN, "--out-dir", "out", "--resume")
        assert again.exit_code == 0 and Path("out/a.png").read_bytes() == before
        other = run("embed", "photos", *MARK, "--out-dir", "out", "--resume")
        assert "c2pa was on, is off" in other.stderr

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            (["--c2pa"], "--c2pa: expected --sign-cert with it, found none"),
            (["--c2pa", "--sign-cert", "certs/chain.pem"], "--c2pa: expected --sign-key with it, found none"),
            (["--sign-key", "certs/key.pem"], "--sign-key: expected --c2pa with it, found none"),
            (["--no-training"], "--no-training: expected --c2pa with it, found none"),
            ([*SIGN, "--source-type", "camera"], "source type: expected one of trainedAlgorithmicMedia,"),
            ([*SIGN[:3], "--sign-key", "certs/root.pem"], "key: expected a private key in PEM"),
            ([*SIGN, "--tsa", "ftp://host"], "tsa: expected a URL with http or https, found ftp://host"),
            ([*SIGN[:2], "none.pem", *SIGN[3:]], "none.pem: expected a PEM file, found: No such file"),
        ],
    )
    def test_what_cannot_sign_is_one_line_before_anything_is_written(
        self, run: Run, photo: Path, options: list[str], line: str
    ) -> None:
        before = files()
        result = run("embed", photo, *MARK, *options)
        assert result.exit_code == 2 and error_line(result).startswith(line)
        assert files() == before

    @pytest.mark.parametrize(
        ("options", "line"),
        [
            (["-o", "out.bmp"], "in.png: expected a format that takes a manifest"),
            (["--tsa", "http://127.0.0.1:1/"], "expected to sign its manifest, found:"),
        ],
    )
    def test_a_picture_that_is_not_signed_is_not_written(
        self, run: Run, photo: Path, options: list[str], line: str
    ) -> None:
        before = files()
        result = run("embed", photo, *MARK, *SIGN, *options)
        assert result.exit_code == 1 and line.removeprefix("in.png: ") in error_line(result)
        assert files() == before
        assert Registry.open().counts()["discarded"] == 1

    def test_an_expired_certificate_signs_nothing(self, run: Run, photo: Path) -> None:
        make_test_chain("old", days=-1)
        result = run("embed", photo, *MARK, "--c2pa", "--sign-cert", "old/chain.pem", "--sign-key", "old/key.pem")
        assert result.exit_code == 2 and "found it expired on" in error_line(result)


class TestDetect:
    def test_the_line_and_the_object(self, run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        said = sign(run, photo)
        assert "; manifest valid by wam test, do not trust, names the watermark" in run("detect", "in.wm.png").stdout
        monkeypatch.setenv("WAM_C2PA_TRUST", "certs/root.pem")
        (found,) = objects(run("detect", "in.wm.png", "--json"))
        word = parse_link(str(said["link"]))
        assert found["credentials"] == {
            "state": "trusted",
            "manifest": said["manifest"],
            "signer": "wam test, do not trust",
            "signed_at": None,
            "generator": "wam",
            "source_types": [],
            "actions": ["c2pa.opened", "c2pa.watermarked.bound"],
            "bindings": [{"alg": "wam-lattice-1", "value": f"{word:08x}"}],
            "agrees": True,
            "problems": [],
            "metadata": {},
        }

    def test_without_a_manifest_it_is_absent(self, run: Run, photo: Path) -> None:
        assert run("embed", photo, *MARK).exit_code == 0
        (found,) = objects(run("detect", "in.wm.png", "--json"))
        assert (found["credentials"]["state"], found["credentials"]["agrees"]) == ("absent", None)
        assert "manifest" not in run("detect", "in.wm.png").stdout

    def test_a_broken_one_leaves_the_mark(self, run: Run, photo: Path) -> None:
        said = sign(run, photo, "-o", "out.jpg")
        content = Path("out.jpg").read_bytes()
        value = parse_link(str(said["link"])).to_bytes(4, "big")
        Path("out.jpg").write_bytes(content.replace(b"value\x44" + value, b"value\x44\0\0\0\0"))
        (found,) = objects(run("detect", "out.jpg", "--json"))
        assert found["watermarks"][0]["status"] == "verified" and found["error"] is None
        assert found["credentials"]["state"] == "broken" and found["credentials"]["agrees"] is None
        assert "manifest broken" in run("detect", "out.jpg").stdout

    def test_a_truncated_one_leaves_the_mark(self, run: Run, photo: Path) -> None:
        sign(run, photo, "-o", "out.jpg")
        content = Path("out.jpg").read_bytes()
        Path("cut.jpg").write_bytes(content[:-20])
        result = run("detect", "cut.jpg", "--json")
        (found,) = (json.loads(line) for line in result.stdout.splitlines())
        assert found["credentials"]["state"] == "broken" and found["watermarks"]


class TestRecover:
    @pytest.fixture
    def signed(self, run: Run) -> dict[str, object]:
        from tests.wam.synthetic import smooth_picture

        Image.fromarray(smooth_picture(256, 320)).save("large.png")
        return sign(run, Path("large.png"), "-o", "signed.png")

    def test_a_stripped_copy_leads_back(self, run: Run, signed: dict[str, object]) -> None:
        strip("signed.png", "copy.jpg", quality=90)
        result = run("recover", "copy.jpg", "-o", "manifest.c2pa", "--json")
        assert result.exit_code == 0, result.stderr
        (said,) = (json.loads(line) for line in result.stdout.splitlines())
        assert (said["manifest"], said["by"], said["similarity"]) == (signed["manifest"], "mark", 100)
        assert said["log10_p"] < -4 and said["state"] == "valid" and said["output"] == "manifest.c2pa"
        kept = Registry.open().manifests.find(str(signed["manifest"]))
        assert kept is not None and Path("manifest.c2pa").read_bytes() == kept.store
        value = said["value"]
        assert assertions_of(kept.store)["c2pa.soft-binding"]["blocks"][0]["value"].hex() == value

    def test_a_cropped_copy_in_a_collage(self, run: Run, signed: dict[str, object]) -> None:
        page = Image.new("RGB", (400, 400), (200, 210, 190))
        with Image.open("signed.png") as image:
            page.paste(image.crop((20, 10, 300, 240)), (60, 90))
        page.save("page.png")
        result = run("recover", "page.png", "--json")
        (said,) = (json.loads(line) for line in result.stdout.splitlines())
        assert (said["manifest"], said["by"]) == (signed["manifest"], "mark")

    def test_the_source_leads_back_by_its_fingerprint(self, run: Run) -> None:
        """It has no mark, and looks like the picture that has."""
        from tests.wam.provenance.c2pa_files import picture

        Path("noise.png").write_bytes(picture("PNG", size=128))
        from tests.wam.synthetic import varied_picture

        Image.fromarray(varied_picture(side=200)).save("source.png")
        signed = sign(run, Path("source.png"), "-o", "signed.png")
        result = run("recover", "source.png", "--json")
        assert result.exit_code == 0, result.stdout
        (said,) = (json.loads(line) for line in result.stdout.splitlines())
        assert (said["manifest"], said["by"], said["value"]) == (signed["manifest"], "fingerprint", None)
        assert 85 <= said["similarity"] <= 100 and said["log10_p"] is None
        assert "% alike" in run("recover", "source.png").stdout
        none = run("recover", "noise.png", "-o", "none.c2pa")
        assert none.exit_code == 1 and none.stdout == "noise.png: no manifest is kept of it\n"
        assert not Path("none.c2pa").exists()

    def test_a_labelled_link_is_named_whole(self, run: Run, photo: Path) -> None:
        run("registry", "init", "--scheme", "labelled")
        run("registry", "next-generation")
        said = sign(run, photo)
        kept = Registry.open().manifests.find(str(said["manifest"]))
        assert kept is not None
        word, generation = parse_link_parts(str(said["link"]))
        (block,) = assertions_of(kept.store)["c2pa.soft-binding"]["blocks"]
        assert block["value"] == MarkName(word, 1, True).value and generation == 1
        (found,) = objects(run("detect", "in.wm.png", "--json"))
        assert found["credentials"]["agrees"] is True
        copy = strip("in.wm.png", "copy.png")
        (back,) = objects(run("recover", copy, "--json"))
        assert (back["manifest"], back["similarity"]) == (kept.id, 100)
        # of another generation it is another mark, and a manifest that says the word alone is half a name
        signer = Credentials.open("certs/chain.pem", "certs/key.pem")
        for seed, name in enumerate((MarkName(word, 2, True), MarkName(word))):
            values = (name.value,)
            content = picture("PNG", seed=seed)
            made = sign_file(content, statement("PNG", values=values, source_type=GENERATED), signer, name="a")
            Registry.open().manifests.keep(made.id, made.manifest, [Binding("wam-lattice-1", name.value[:4])])
        again = objects(run("recover", copy, "--json"))
        assert [(one["manifest"], one["similarity"]) for one in again] == [(kept.id, 100), (made.id, 50)]
        said = run("recover", copy).stdout
        assert "which generation it does not say" in said
        assert "chance < 1.3e-3, tested" in said  # what was tested, not the model's own number

    def test_a_manifest_that_does_not_name_the_mark_is_not_taken(self, run: Run, signed: dict[str, object]) -> None:
        """Somebody entered another manifest under the mark's value: algorithm and value have to agree in it."""
        registry = Registry.open()
        value = parse_link(str(signed["link"])).to_bytes(4, "big")
        make_test_chain("others")
        signer = Credentials.open("others/chain.pem", "others/key.pem")
        other = sign_file(picture("PNG"), statement("PNG", source_type=CAMERA), signer, name="other")
        registry.manifests.keep(other.id, other.manifest, [Binding("wam-lattice-1", value)])
        lines = run("recover", "signed.png", "--json").stdout.splitlines()
        assert [json.loads(line)["manifest"] for line in lines] == [signed["manifest"]]

    def test_outputs_never_replace_the_copy(self, run: Run, signed: dict[str, object]) -> None:
        shutil.copy("signed.png", "copy.png")
        before = Path("copy.png").read_bytes()
        assert run("recover", "copy.png", "-o", "copy.png").exit_code == 2
        assert Path("copy.png").read_bytes() == before

    def test_a_copy_that_cannot_be_read(self, run: Run) -> None:
        Path("no.png").write_bytes(b"no picture")
        result = run("recover", "no.png")
        assert result.exit_code == 2 and error_line(result).startswith("no.png: ")


def test_certificates_are_not_made_twice(run: Run) -> None:
    again = run("c2pa", "test-certs", "certs")
    assert again.exit_code == 2 and "expected no file, found one" in error_line(again)
