"""One verdict on mark, manifest and label of a file."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="needs c2pa-python")
pytest.importorskip("cbor2", reason="needs cbor2")

from typer.testing import Result

from payload import parse_link
from tests.wam.cli.commands import MARK, Run, error_line, objects
from tests.wam.cli.signed import CAMERA, TRUST, other_signed, sign, strip
from wam.cli import terminal
from wam.provenance.credentials import make_test_chain

pytestmark = pytest.mark.usefixtures("certs")


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

    def test_a_stripped_copy_is_marked(self, run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        sign(run, photo)
        strip("in.wm.png", "copy.png")
        kept = "a manifest is kept for its mark: wam recover gives it back"
        reasons = ["there is no manifest", kept, "a mark, verified of acme"]
        result = run("verify", "copy.png", "--json", *TRUST)
        assert result.exit_code == 0 and self.judged(result) == (
            "marked",
            "; ".join(reasons),
        )
        narrow = ["copy.png: marked", *(f"  {reason}" for reason in reasons)]
        for columns, lines in ((70, narrow), (130, [f"copy.png: marked: {'; '.join(reasons)}"])):
            monkeypatch.setattr(terminal, "width", lambda columns=columns: columns)
            assert run("verify", "copy.png", *TRUST).stdout.splitlines() == lines

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
        line = "the manifest says digitalCapture, that of its mark says that it was generated"
        assert line in reasons
        assert objects(run("detect", "forged.png", "--json"))[0]["contradictions"] == [line]
        assert f"; CONTRADICTED: {line}\n" in run("detect", "forged.png").stdout
        assert objects(run("detect", "in.wm.png", "--json"))[0]["contradictions"] == []

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
