"""Limits that hold, headers, and a log that tells nothing it should not."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.wam.service.served import GENEROUS, Served, Threads, in_threads, picture, upload
from wam.service.rates import client_of
from wam.service.roles import Role
from wam.service.settings import Limits

# how a client may see that the other side closed a connection into which it was still sending
CLOSED = (httpx.WriteError, httpx.ReadError, httpx.RemoteProtocolError)


@contextmanager
def connected(served: Served) -> Iterator[socket.socket]:
    parts = urlsplit(served.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connection:
        yield connection


def rest(connection: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    content = b""
    while chunk := connection.recv(65536):
        content += chunk
    return content


def emptied(served: Served) -> bool:
    """Whether every picture has left the queue: it leaves after its answer is sent, which a client may see first."""
    return inside(served, 0)


def inside(served: Served, count: int) -> bool:
    """Whether so many pictures are in the house before long."""
    end = time.monotonic() + 30
    while served.house.admission.count != count and time.monotonic() < end:
        time.sleep(0.01)
    return served.house.admission.count == count


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(tmp_path: Path) -> None:
    with in_threads(tmp_path, replace(GENEROUS, max_bytes=100_000)) as served, connected(served) as connection:
        connection.sendall(b"POST /v1/detect HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\n")
        answer = rest(connection)
        assert answer.startswith(b"HTTP/1.1 413") and b"at most 165,536 bytes" in answer


def test_forms_and_objects_that_everybody_may_send_are_small(served: Served) -> None:
    form = {"grant_type": "client_credentials", "scope": "x" * 70_000}
    for place, body in (("/oauth2/token", {"data": form}), ("/c2pa/v1/matches/byBinding", {"json": form})):
        answer = served.anyone.post(place, **body)  # type: ignore[arg-type]
        assert answer.status_code == 413 and "at most 65,536 bytes" in answer.text, place


def test_a_body_that_turns_out_too_large_is_refused_on_the_way(tmp_path: Path) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(10_000):
            yield b"x" * 10_000

    with in_threads(tmp_path, replace(GENEROUS, max_bytes=100_000)) as served:
        try:
            answer = served.anyone.post("/v1/detect", content=endless())
            assert answer.status_code == 413
        except CLOSED:
            pass  # the connection was closed while the body was being sent
        form = served.anyone.post("/v1/detect", **upload(b"x" * 120_000))
        assert form.status_code == 413 and form.json()["detail"].startswith("body: expected at most 100,000 bytes")
        assert served.anyone.post("/v1/detect", **upload(picture())).status_code == 200
        assert emptied(served)


UPLOADS = ("/v1/detect", "/v1/embed", "/v1/jobs", "/v1/jobs/embed", "/oauth2/token", "/c2pa/v1/matches/byContent",
           "/c2pa/v1/matches/byBinding", "/c2pa/v1/manifests", "/c2pa/v1/bindings")  # fmt: skip
KINDS = ("image/png", "multipart/form-data; boundary=x", "application/json", "application/x-www-form-urlencoded")
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc'


def begun(served: Served, path: str, kind: str) -> socket.socket:
    """An upload of which a part has come."""
    parts = urlsplit(served.url)
    key = served[Role.ADMIN].headers["authorization"]
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {key}\r\nContent-Type: {kind}\r\nContent-Length: 9999"
    connection = socket.create_connection((parts.hostname, parts.port), timeout=30)
    connection.sendall(f"{head}\r\n\r\n".encode() + PART)
    return connection


def test_a_client_that_goes_away_leaves_nothing_and_is_no_fault(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    asked = [(path, kind) for path in UPLOADS for kind in KINDS]
    with caplog.at_level(logging.INFO, "wam.service"):
        for path, kind in asked:
            begun(served, path, kind).close()
        end = time.monotonic() + 30
        while len(lines := said_of(caplog)) < len(asked) and time.monotonic() < end:
            time.sleep(0.02)
    assert len(lines) == len(asked) and emptied(served)
    assert [line for line in lines if "fault" in line or line["status"] >= 500] == []
    assert sum(line["status"] == 499 for line in lines) > len(UPLOADS)  # the others were refused by their type


def said_of(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [json.loads(record.getMessage()) for record in caplog.records if record.name == "wam.service"]


def test_an_upload_that_drips_is_ended_on_every_route(tmp_path: Path) -> None:
    with in_threads(tmp_path, replace(GENEROUS, upload_seconds=0.3, job_bytes=GENEROUS.max_bytes)) as served:
        connections = [begun(served, path, kind) for path in UPLOADS for kind in KINDS]
        answers = [connection.recv(65536) for connection in connections]
        for connection in connections:
            connection.close()
        assert {answer[:12] for answer in answers} == {b"HTTP/1.1 408", b"HTTP/1.1 415", b"HTTP/1.1 400"}
        assert sum(answer.startswith(b"HTTP/1.1 408") for answer in answers) > len(UPLOADS)
        assert emptied(served)


def test_requests_a_minute_are_counted_for_each_address_and_key(tmp_path: Path) -> None:
    with in_threads(tmp_path, Limits(address_rate=3, key_rate=5, at_once=50)) as served:
        made, _ = served.keys.new("quick", Role.MARKER, rate=7)
        quick = {"Authorization": f"Bearer {made}"}
        for client, headers, rate in ((served.anyone, {}, 3), (served[Role.MARKER], {}, 5), (served.anyone, quick, 7)):
            answers = [client.get("/v1/results/none", headers=headers) for _ in range(rate + 1)]
            assert [one.status_code for one in answers] == [404] * rate + [429]
            assert 1 <= int(answers[-1].headers["retry-after"]) <= 60
            assert f"at most {rate} requests a minute" in answers[-1].json()["detail"]
        assert served.anyone.get("/healthz").status_code == 200  # what costs nothing is not counted


def test_keys_cannot_be_guessed_without_end(tmp_path: Path) -> None:
    with in_threads(tmp_path, Limits(wrong_keys=4)) as served:
        wrong = {"Authorization": "Bearer wrong"}
        assert [served.anyone.get("/v1/about", headers=wrong).status_code for _ in range(6)] == [401] * 4 + [429] * 2
        assert served[Role.ADMIN].get("/v1/about").status_code == 429  # no key is looked at from there any more
        assert served.anyone.get("/v1/about").status_code == 200


def test_the_queue_is_bounded_and_one_client_cannot_fill_it(tmp_path: Path) -> None:
    with in_threads(tmp_path, replace(GENEROUS, queue=4, at_once=3)) as served:
        pool = served.house.pool
        assert isinstance(pool, Threads)
        pool.gate.clear()  # workers begin nothing

        def ask(role: Role) -> httpx.Response:
            return served[role].post("/v1/detect", **upload(picture()))

        with ThreadPoolExecutor(12) as executor:
            held = [executor.submit(ask, Role.ANONYMOUS) for _ in range(3)]
            assert inside(served, 3)
            fourth = ask(Role.ANONYMOUS)
            assert fourth.status_code == 429 and "at most 3 pictures of one client" in fourth.json()["detail"]
            held += [executor.submit(ask, Role.MARKER) for _ in range(2)]
            assert inside(served, 5)
            full = ask(Role.ADMIN)
            assert full.status_code == 429 and "expected room, found 5 pictures" in full.json()["detail"]
            assert int(full.headers["retry-after"]) > 0
            assert served.anyone.get("/healthz").status_code == 200
            pool.gate.set()
            assert {one.result().status_code for one in held} == {200}
        assert emptied(served) and ask(Role.ADMIN).status_code == 200


def test_a_hundred_large_uploads_at_once_each_get_one_clear_answer(tmp_path: Path) -> None:
    limits = replace(GENEROUS, max_bytes=2 << 20, queue=8)
    with in_threads(tmp_path, limits) as served:
        content = picture() + b"\0" * ((2 << 20) - 100_000)

        def ask(_: int) -> int:
            try:
                return httpx.post(f"{served.url}/v1/detect", **upload(content), timeout=60).status_code
            except CLOSED:
                return 429  # refused before its body was read: the connection closed under it

        with ThreadPoolExecutor(32) as executor:
            statuses = list(executor.map(ask, range(100)))
        assert set(statuses) <= {200, 429} and 200 in statuses
        assert emptied(served)


def test_every_answer_keeps_browsers_strict(served: Served) -> None:
    for path in ("/", "/v1/about", "/nowhere", "/healthz"):
        headers = served.anyone.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy and "frame-ancestors 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff" and headers["referrer-policy"] == "no-referrer"
        assert "server" not in headers


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404), ("PUT", "/v1/detect", 405), ("GET", "/v1/embed", 405), ("DELETE", "/", 405),
        ("GET", "/docs", 404), ("GET", "/../etc/passwd", 404), ("TRACE", "/v1/about", 405), ("GET", "/v1/detect/", 404),
    ],
)  # fmt: skip
def test_what_is_not_there_is_a_problem_too(served: Served, method: str, path: str, status: int) -> None:
    answer = served.anyone.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert set(answer.json()) == {"type", "title", "status", "detail", "error"}
    assert status != 405 or answer.headers["allow"]


def test_the_log_holds_no_picture_key_record_or_address(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    key, made = served.keys.new("logged", Role.ADMIN)
    headers = {"Authorization": f"Bearer {key}"}
    secret = ("asset-secret", "owner-secret", "user-secret", "name-secret")
    with caplog.at_level(logging.DEBUG):
        form = upload(
            picture(seed=41), "name-secret.png", asset="asset-secret", owner="owner-secret", user="user-secret"
        )
        marked = served.anyone.post("/v1/embed", **form, headers=headers)
        link = marked.headers["wam-link"]
        served.anyone.post("/v1/detect?name=name-secret", content=marked.content, headers=headers)
        served.anyone.get(f"/v1/records/{link}", headers=headers)
        served.anyone.get("/v1/records?asset=asset-secret&owner=owner-secret", headers=headers)
        served.anyone.post("/v1/embed", **upload(b"no", "name-secret.png", asset="asset-secret\n"), headers=headers)
        served.anyone.get("/v1/records/name-secret", headers=headers)
        served.anyone.get("/v1/about", headers={"Authorization": f"Bearer {key[:-2]}"})
        end = time.monotonic() + 20  # a line is logged after its answer was sent, which a client may see first
        while sum('"route"' in one.getMessage() for one in caplog.records) < 7 and time.monotonic() < end:
            time.sleep(0.01)
    text = "\n".join(record.getMessage() for record in caplog.records if not record.name.startswith("http"))
    lines = [json.loads(record.getMessage()) for record in caplog.records if record.name == "wam.service"]
    assert [(line["route"], line["status"]) for line in lines if "route" in line][:4] == [
        ("embed", 200), ("detect", 200), ("show_record", 200), ("list_records", 200)
    ]  # fmt: skip
    assert lines[0]["key"] == made.id and lines[0]["bytes"] > 1000
    assert len([line for line in lines if "route" in line]) == 7
    for one in (*secret, link, link[3:], key, key.rpartition("_")[2][:20], "127.0.0.1"):
        assert one not in text, one


def test_a_fault_is_logged_by_its_place_and_says_nothing_to_the_client(
    served: Served, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise TypeError("secret-of-the-record")

    monkeypatch.setattr(served.house.pool, "submit", broken)
    with caplog.at_level(logging.INFO):
        answer = served.anyone.post("/v1/detect", **upload(picture()))
    assert answer.status_code == 500 and answer.json()["detail"] == "the service failed; its log says where"
    text = "\n".join(record.getMessage() for record in caplog.records)
    assert "TypeError" in text and "secret-of-the-record" not in text + answer.text
    monkeypatch.undo()
    assert served.anyone.post("/v1/detect", **upload(picture())).status_code == 200


def test_an_address_is_what_one_client_has() -> None:
    assert client_of("2001:db8::1") == client_of("2001:db8::ffff:1") != client_of("2001:db8:0:1::1")
    assert client_of("unknown") == "unknown"


def test_metrics_count_what_was_answered(served: Served) -> None:
    served.anyone.get("/healthz")
    counted, end = 'wam_requests_total{method="GET",route="healthz",status="200"}', time.monotonic() + 20
    while counted not in (text := served[Role.AUDITOR].get("/metrics").text):  # counted once its answer was sent
        assert time.monotonic() < end
    assert "wam_workers_ready 1.0" in text and "wam_tasks_waiting 0.0" in text


def test_metrics_may_be_open(tmp_path: Path) -> None:
    with in_threads(tmp_path, open_metrics=True) as served:
        assert served.anyone.get("/metrics").status_code == 200
        assert served.anyone.get("/v1/records").status_code == 401


def test_many_threads_are_not_left_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    with in_threads(tmp_path) as served:
        served.anyone.post("/v1/detect", **upload(picture()))
    end = time.monotonic() + 20
    while threading.active_count() > before + 1 and time.monotonic() < end:
        time.sleep(0.05)
    assert threading.active_count() <= before + 1
