"""The server as a process: started by the command, patient with slow heads up to a point, ended by a signal."""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

import wam
from payload.registry import Registry
from tests.wam.cli.commands import Run
from tests.wam.service.served import Served, picture, upload
from wam.service import server

ROOT = Path(wam.__file__).parents[1]


def test_the_head_of_a_request_has_to_come_within_a_time(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []
    given_up = server.PatientProtocol.give_up

    def at_once(self: Any) -> None:
        calls.append(time.monotonic())
        given_up(self)

    monkeypatch.setattr(server.PatientProtocol, "patience", 0.5)
    monkeypatch.setattr(server.PatientProtocol, "give_up", at_once)
    parts = urlsplit(served.url)
    for begun in (b"", b"GET / HT", b"GET /healthz HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
            connection.sendall(begun)
            assert connection.recv(1000) == b""  # closed
    monkeypatch.setattr(server.PatientProtocol, "patience", 3.0)
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as connection:
        for _ in range(4):  # a connection that asks in time is kept, for longer than it may wait
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            answer = b""
            while not answer.endswith(b'{"status":"ok"}'):
                more = connection.recv(5000)
                assert more
                answer += more
            assert answer.startswith(b"HTTP/1.1 200")
            time.sleep(1.2)
    assert len(calls) >= 3


@pytest.mark.parametrize("head", [b"\0\0\0\r\n\r\n", b"GET /" + b"x" * 100_000, b"\x16\x03\x01"])
def test_what_is_no_http_is_refused(served: Served, head: bytes) -> None:
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        try:
            connection.sendall(head)
            connection.shutdown(socket.SHUT_WR)
            answer = connection.recv(5000)
        except TimeoutError:
            raise
        except OSError:  # closed while more was coming
            answer = b""
        assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert served.anyone.get("/healthz").status_code == 200


def test_keys_are_managed_by_the_command(run: Run, tmp_path: Path) -> None:
    store = tmp_path / "keys.json"
    made = run("serve", "keys", "new", "shop", "--role", "marker", "--owner", "acme", "--api-keys", store)
    assert made.exit_code == 0 and made.stdout.startswith("wam_")
    assert "shown this once" in made.stderr and made.stdout.strip() not in store.read_text()
    listed = json.loads(run("serve", "keys", "list", "--json", "--api-keys", store).stdout)
    assert (listed["name"], listed["role"], listed["owner"], listed["revoked"]) == ("shop", "marker", "acme", None)
    assert run("serve", "keys", "revoke", listed["id"], "--api-keys", store).stdout == f"{listed['id']} revoked\n"
    heads, row = run("serve", "keys", "list", "--api-keys", store).stdout.splitlines()
    assert heads.split()[:3] == ["ID", "NAME", "ROLE"] and row.index("marker") == heads.index("ROLE")
    nobody = run("serve", "keys", "revoke", "nobody", "--api-keys", store)
    assert (nobody.exit_code, nobody.stdout) == (1, "") and "expected a key nobody, found none" in nobody.stderr
    store.write_text("nonsense")
    for command in (("list",), ("new", "x", "--role", "admin"), ("revoke", "x")):
        damaged = run("serve", "keys", *command, "--api-keys", store)
        assert damaged.exit_code in (1, 2) and damaged.stderr.count("\n") == 1
    assert run("serve", "keys", "new", "x", "--role", "anonymous").exit_code == 2


@contextmanager
def logging_as_before() -> Iterator[None]:
    """Puts back what a service changes of the loggers."""
    names = (None, "wam.service", "uvicorn", "python_multipart")
    before = [(one, one.handlers[:], one.propagate, one.level) for one in map(logging.getLogger, names)]
    logging.getLogger().handlers.clear()
    try:
        yield
    finally:
        for one, handlers, propagate, level in before:
            one.handlers[:], one.propagate = handlers, propagate
            one.setLevel(level)


def test_what_other_packages_say_is_logged_by_its_place(capsys: pytest.CaptureFixture[str]) -> None:
    with logging_as_before():
        server.log_to_standard_error()
        logging.getLogger("some.package").warning("a name in a request")
        logging.getLogger("python_multipart.multipart").warning("a byte of a form")
        logging.getLogger("wam.service").info('{"route": "detect"}')
        logging.getLogger("some.package").info("nothing of note")
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [line.get("fault") or line["route"] for line in lines] == ["some.package", "detect"]
    assert "a name in a request" not in json.dumps(lines) and Path(__file__).name in lines[0]["at"]


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.skipif(os.name == "nt", reason="signals")
def test_the_command_serves_until_it_is_told_to_end(tmp_path: Path) -> None:
    port = free_port()
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "XDG_DATA_HOME": str(tmp_path), "OMP_NUM_THREADS": "1",
        "TMPDIR": str(tmp_path), "WAM_REGISTRY": str(tmp_path / "registry.sqlite"),
    }  # fmt: skip
    command = [sys.executable, "-m", "wam", "serve", "--port", str(port), "--workers", "1"]
    made = subprocess.run(
        [sys.executable, "-m", "wam", "serve", "keys", "new", "test", "--role", "admin"],
        env=environment, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, cwd=tmp_path) as process:
        try:
            url, end = f"http://127.0.0.1:{port}", time.monotonic() + 240
            while not _ready(url):
                assert time.monotonic() < end and process.poll() is None
                time.sleep(0.3)
            key = {"Authorization": f"Bearer {made.stdout.strip()}"}
            form = upload(picture(size=(256, 256)), asset="1", owner="acme")
            marked = httpx.post(f"{url}/v1/embed", **form, headers=key, timeout=120)
            assert marked.status_code == 200, marked.text
            found = httpx.post(f"{url}/v1/detect", **upload(marked.content), timeout=120).json()
            assert [mark["marked_by"] for mark in found["watermarks"]] == ["acme"]
            taken = subprocess.run([*command[:-1], "1"], env=environment, capture_output=True, text=True, timeout=240)
            assert taken.returncode == 2 and "expected an address that can be listened on" in taken.stderr
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.stderr is not None
            said = process.stderr.read()
            assert process.wait(120) == 0, said
    assert said.rstrip().endswith("note: ended")
    assert [entry.state for entry in Registry.open(str(tmp_path / "registry.sqlite")).entries()] == ["marked"]
    assert not list(tmp_path.glob("wam-service-*"))


def _ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False
