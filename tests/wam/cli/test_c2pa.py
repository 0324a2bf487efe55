"""Content credentials from the command line: embed signs, detect and verify read, recover leads back."""

from __future__ import annotations

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from PIL import Image
from typer.testing import Result

from payload import parse_link
from payload.registry import Registry
from payload.registry.manifests import Binding
from tests.wam.cli.commands import MARK, Run, draw, error_line, files, objects
from tests.wam.provenance.c2pa_files import assertions_of, picture, read_independently, statement
from wam.pictures.files import read_image
from wam.provenance.credentials import Credentials, make_test_chain
from wam.provenance.manifest_definition import GENERATED
from wam.provenance.signing import sign_file

SIGN = ("--c2pa", "--sign-cert", "certs/chain.pem", "--sign-key", "certs/key.pem")
CAMERA = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
TRUST = ("--trust", "certs/root.pem")
pytestmark = pytest.mark.usefixtures("certs")


@pytest.fixture
def certs(run: Run) -> None:
    assert run("c2pa", "test-certs", "certs").exit_code == 0


def sign(run: Run, photo: Path, *more: str) -> dict[str, object]:
    result = run("embed", photo, *MARK, *SIGN, "--json", *more)
    assert result.exit_code == 0, result.stderr
    (said,) = objects(result)
    return said


def strip(name: str, target: str, **how: object) -> Path:
    """A copy without any metadata."""
    with Image.open(name) as image:
        image.convert("RGB").save(target, **how)
    return Path(target)


def other_signed(
    target: str, *, source_type: str, content: bytes, format: str = "PNG", values: tuple[bytes, ...] = ()
) -> None:
    """A file of another signer with a manifest, whatever it carries."""
    make_test_chain("others")
    signer = Credentials.open("others/chain.pem", "others/key.pem")
    said = statement(format, values=values or (b"none",), source_type=source_type)
    Path(target).write_bytes(sign_file(content, said, signer, name=target).content)


class TestEmbed:
    @pytest.mark.parametrize("target", ["out.jpg", "out.png", "out.webp", "out.tif", "out.avif"])
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


class TestVerify:
    def judged(self, result: Result) -> tuple[str, str]:
        (said,) = (json.loads(line) for line in result.stdout.splitlines())
        return said["verdict"], "; ".join(said["reasons"])

    def test_confirmed_only_by_a_trusted_signer(self, run: Run, photo: Path) -> None:
        sign(run, photo)
        trusted = run("verify", "in.wm.png", "--json", *TRUST)
        assert trusted.exit_code == 0 and self.judged(trusted)[0] == "confirmed"
        plain = run("verify", "in.wm.png", "--json")
        assert plain.exit_code == 0 and self.judged(plain)[0] == "marked"
        assert "who that is, no trusted root says" in self.judged(plain)[1]

    def test_a_stripped_copy_is_marked(self, run: Run, photo: Path) -> None:
        sign(run, photo)
        strip("in.wm.png", "copy.png")
        result = run("verify", "copy.png", "--json", *TRUST)
        assert result.exit_code == 0 and self.judged(result) == (
            "marked",
            "there is no manifest; a mark, verified of acme",
        )

    def test_nothing(self, run: Run, photo: Path) -> None:
        result = run("verify", photo)
        assert result.exit_code == 1
        assert result.stdout == "in.png: nothing: there is no manifest; no mark was found\n"

    def test_a_manifest_of_another_signer_is_unconfirmed_or_signed(self, run: Run, photo: Path) -> None:
        import c2pa

        from wam.provenance.signing import MIME, settings_for

        make_test_chain("others")
        made = {"action": "c2pa.created", "digitalSourceType": CAMERA}
        said = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}, "created": True}]}
        chain, key = Path("others/chain.pem").read_bytes(), Path("others/key.pem").read_bytes()
        signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain, key, None))
        context = c2pa.Context.from_dict(settings_for("wam-lattice-1"))
        with photo.open("rb") as source, Path("camera.png").open("w+b") as target:
            c2pa.Builder.from_json(json.dumps(said), context).sign(signer, MIME["PNG"], source, target)
        plain = run("verify", "camera.png", "--json")
        assert plain.exit_code == 1 and self.judged(plain)[0] == "unconfirmed"
        trusted = run("verify", "camera.png", "--json", "--trust", "others/root.pem")
        assert trusted.exit_code == 0 and self.judged(trusted)[0] == "signed"

    def test_a_camera_over_a_generated_mark(self, run: Run, photo: Path) -> None:
        """The copy is stripped and signed anew by somebody who names the mark, and says that a camera took it."""
        said = sign(run, photo, "--source-type", "trainedAlgorithmicMedia")
        value = parse_link(str(said["link"])).to_bytes(4, "big")
        copy = strip("in.wm.png", "copy.png").read_bytes()
        other_signed("forged.png", source_type=CAMERA, content=copy, values=(value,))
        result = run("verify", "forged.png", "--json", "--trust", "others/root.pem")
        verdict, reasons = self.judged(result)
        assert (result.exit_code, verdict) == (3, "contradicted")
        assert "the manifest says digitalCapture, that of its mark says that it was generated" in reasons

    def test_a_camera_over_a_label(self, run: Run, photo: Path) -> None:
        assert run("embed", photo, *MARK, "--label").exit_code == 0
        other_signed("forged.png", source_type=CAMERA, content=Path("in.wm.png").read_bytes())
        result = run("verify", "forged.png", "--json", "--trust", "others/root.pem")
        assert result.exit_code == 3
        assert "the manifest says digitalCapture, the label says that it was generated" in self.judged(result)[1]

    def test_a_manifest_that_names_another_mark(self, run: Run, photo: Path) -> None:
        other_signed("other.png", source_type=CAMERA, content=photo.read_bytes(), values=(b"\1\2\3\4",))
        result = run("verify", "other.png")
        assert result.exit_code == 3
        assert "contradicted: the manifest names the mark 01020304, the picture carries none" in result.stdout

    def test_a_broken_manifest(self, run: Run, photo: Path) -> None:
        sign(run, photo, "-o", "out.jpg")
        content = bytearray(Path("out.jpg").read_bytes())
        content[-30] ^= 1
        Path("out.jpg").write_bytes(content)
        result = run("verify", "out.jpg")
        assert (
            result.exit_code == 3
            and "contradicted: the manifest is broken: assertion.dataHash.mismatch" in result.stdout
        )

    def test_files_that_cannot_be_read(self, run: Run, photo: Path) -> None:
        Path("no.png").write_bytes(b"no picture")
        result = run("verify", "no.png", photo)
        assert result.exit_code == 2 and result.stderr.startswith("error: no.png: ")
        assert result.stdout.startswith("in.png: nothing")
        missing = run("verify", photo, "--trust", "none.pem")
        assert missing.exit_code == 2 and error_line(missing).startswith("none.pem: expected a PEM file")

    def test_a_remote_manifest_is_fetched_only_when_told(self, run: Run, photo: Path) -> None:
        import c2pa

        from wam.provenance.signing import MIME

        asked: list[str] = []
        kept = {}

        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                self.send_response(200)
                self.send_header("Content-Type", "application/c2pa")
                self.send_header("Content-Length", str(len(kept["store"])))
                self.end_headers()
                self.wfile.write(kept["store"])

            def log_message(self, *_: object) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Answer)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            made = {"action": "c2pa.created", "digitalSourceType": CAMERA}
            said = {"assertions": [{"label": "c2pa.actions.v2", "data": {"actions": [made]}, "created": True}]}
            context = c2pa.Context.from_dict({"verify": {"verify_after_sign": False}})
            builder = c2pa.Builder.from_json(json.dumps(said), context)
            builder.set_no_embed()
            builder.set_remote_url(f"http://127.0.0.1:{server.server_port}/it.c2pa")
            chain, key = Path("certs/chain.pem").read_bytes(), Path("certs/key.pem").read_bytes()
            signer = c2pa.Signer.from_info(c2pa.C2paSignerInfo("es256", chain, key, None))
            with photo.open("rb") as source, Path("remote.png").open("w+b") as target:
                kept["store"] = builder.sign(signer, MIME["PNG"], source, target)
            plain = run("verify", "remote.png")
            assert (plain.exit_code, asked) == (1, [])
            assert "the manifest is elsewhere and was not fetched" in plain.stdout
            fetched = run("verify", "remote.png", "--fetch", *TRUST)
            assert asked == ["/it.c2pa"]
            assert (fetched.exit_code, fetched.stdout.startswith("remote.png: signed")) == (0, True), fetched.stdout
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


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
