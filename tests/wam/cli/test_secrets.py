"""What is confidential: passwords in URLs are never printed or stored, keys are taken byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from payload.registry.database import engine_name, locate
from tests.wam.cli.commands import MARK, Run, draw, error_line, objects
from wam.errors import mask_secrets

MASKED = {
    "https://me:hunter2@host/a.png": "https://me:***@host/a.png",
    "ftp://me:hunter2@host:21/a.png?x=1": "ftp://me:***@host:21/a.png?x=1",
    "s3://:hunter2@bucket/a.png": "s3://:***@bucket/a.png",
    "filecache::sftp://me:hun/ter@2@host/a.png": "filecache::sftp://me:***@host/a.png",
    "postgresql://host/db?user=me&password=hunter2": "postgresql://host/db?user=me&password=***",
    "https://host/a.png?sig=hunter2&se=2026#x": "https://host/a.png?sig=***&se=2026#x",
    "https://host/a.png?X-Amz-Signature=hunter2": "https://host/a.png?X-Amz-Signature=***",
    "https://host:8080/a@b.png": "https://host:8080/a@b.png",
    "a:b@c.png?password=1": "a:b@c.png?password=1",
}


@pytest.mark.parametrize("url", MASKED)
def test_passwords_of_urls_are_masked(url: str) -> None:
    assert mask_secrets(url) == MASKED[url]


class Guarded(MemoryFileSystem):  # type: ignore[misc]
    """A file system whose URLs hold a password."""

    protocol = "guarded"
    store: dict[str, Any] = {}  # noqa: RUF012 - shared by all of the kind, as its base shares it
    pseudo_dirs = [""]  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return "/" + str(path).removeprefix("guarded://").rpartition("@")[2].partition("?")[0].lstrip("/")


URL = "guarded://me:hunter2@host"


@pytest.fixture
def guarded(run: Run) -> Run:
    fsspec.register_implementation("guarded", Guarded, clobber=True)
    Guarded().pipe_file("/host/in/a.png", draw("a.png").read_bytes())
    return run


def test_no_password_is_printed_or_stored(guarded: Run, tmp_path: Path) -> None:
    done = guarded("embed", f"{URL}/in", "--asset-from", "name", "--owner", "o", "--out-dir", f"{URL}/out")
    assert done.exit_code == 0, done.output
    single = guarded("embed", f"{URL}/in/a.png", *MARK, "-o", f"{URL}/b.png", "--json")
    assert objects(single)[0]["output"] == "guarded://me:***@host/b.png"
    read = guarded("detect", f"{URL}/out", f"{URL}/none.png", "--json", "-v")
    assert objects(read)[0]["image"] == "guarded://me:***@host/out/a.png"
    listed = guarded("registry", "list", "--json")
    said = "".join(one.output + one.stderr for one in (done, single, read, listed))
    stored = b"".join(Guarded.store[name].getvalue() for name in Guarded.store if name.endswith(".jsonl"))
    assert "hunter2" not in said and b"hunter2" not in stored and b"***" in stored
    assert b"hunter2" not in (tmp_path / "wam" / "registry.sqlite").read_bytes()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:hunter2@127.0.0.1:1/wam",
        "postgresql://127.0.0.1:1/wam?user=me&password=hunter2",
        "mysql://me:hunter2@host/wam?password=hunter2",
        "postgresql://me:hunter2@127.0.0.1:port/wam",
    ],
)
def test_no_password_of_a_registry_is_printed(run: Run, url: str) -> None:
    result = run("registry", "list", "--registry", url)
    assert result.exit_code == 2 and "hunter2" not in error_line(result)


def test_a_registry_is_named_without_the_passwords_of_its_query() -> None:
    url = locate("postgresql://me@host/wam?password=hunter2&sslmode=require&sslpassword=hunter2")
    assert "hunter2" not in engine_name(url) and "password=***" in engine_name(url)
    assert "sslmode=require" in engine_name(url)


class TestKeys:
    def read(self, run: Run, content: bytes) -> list[Any]:
        Path("other").write_bytes(content)
        return list(objects(run("detect", "in.wm.png", "--key-file", "other", "--json"))[0]["watermarks"])

    def test_a_binary_key_counts_to_its_last_blank(self, run: Run, photo: Path) -> None:
        key = bytes(range(200, 220)) + b" \n"
        Path("key").write_bytes(key)
        assert run("embed", photo, *MARK, "--key-file", "key").exit_code == 0
        assert len(self.read(run, key)) == 1
        assert self.read(run, key.rstrip()) == [] and self.read(run, key[:-1]) == []

    def test_the_line_end_after_a_line_of_text_does_not(
        self, run: Run, photo: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("key").write_bytes(b"sixteen bytes of secret \r\n")
        assert run("embed", photo, *MARK, "--key-file", "key").exit_code == 0
        monkeypatch.setenv("WAM_KEY", "sixteen bytes of secret ")
        assert len(objects(run("detect", "in.wm.png", "--json"))[0]["watermarks"]) == 1

    @pytest.mark.parametrize("content", [bytes(range(200, 220)) + b" \n", b" sixteen bytes of secret  \n"])
    def test_what_0_2_0_marked_with_the_same_file_is_read(self, run: Run, photo: Path, content: bytes) -> None:
        Path("then").write_bytes(content.strip())
        assert run("embed", photo, *MARK, "--key-file", "then").exit_code == 0
        assert len(self.read(run, content)) == 1

    @pytest.mark.parametrize("content", [b"", b"fifteen bytes..", b"fifteen bytes..\n", b" " * 40 + b"\n"])
    def test_short_and_empty_ones_are_refused(
        self, run: Run, photo: Path, content: bytes, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("key").write_bytes(content)
        for command in (("embed", photo, *MARK), ("detect", photo)):
            result = run(*command, "--key-file", "key")
            assert result.exit_code == 2
            assert error_line(result).startswith("key: expected a key of at least 16 bytes, found ")
        monkeypatch.setenv("WAM_KEY", content.decode().rstrip("\n"))
        result = run("embed", photo, *MARK)
        assert result.exit_code == 2 and error_line(result).startswith("$WAM_KEY: expected a key of at least 16")

    def test_a_key_without_end_is_refused(self, run: Run, photo: Path) -> None:
        result = run("detect", photo, "--key-file", "/dev/zero")
        assert result.exit_code == 2 and "expected a key of at most 1,048,576 bytes" in error_line(result)


def test_the_manifest_masks_the_names_of_files_that_failed(guarded: Run) -> None:
    Guarded().pipe_file("/host/bad/x.png", b"no picture")
    result = guarded("embed", f"{URL}/bad", *MARK, "--out-dir", "out", "--json")
    assert result.exit_code == 1
    assert "hunter2" not in Path("out/manifest.jsonl").read_text() + result.output + result.stderr
    assert json.loads(Path("out/manifest.jsonl").read_text())["status"] == "failed"
