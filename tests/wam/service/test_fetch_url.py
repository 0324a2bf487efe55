"""Pictures behind URLs: what is public is fetched, what only this machine can reach is not, however it is named."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.wam.service.served import GENEROUS, in_threads, picture
from wam.service.fetch_url import Fetcher, is_public
from wam.service.problems import Problem

CONTENT = picture(seed=60)


class Handler(BaseHTTPRequestHandler):
    """Does by the path what a server may do to whoever asks."""

    hosts: list[str | None]

    def do_GET(self) -> None:
        self.hosts.append(self.headers["host"])
        kind, _, rest = self.path.lstrip("/").partition("/")
        if kind == "redirect":
            self.send_response(302)
            self.send_header("Location", rest)
            self.end_headers()
        elif kind == "drip":
            self.send_response(200)
            self.send_header("Content-Length", "100000")
            self.end_headers()
            for _ in range(200):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.05)
        elif kind == "endless":
            self.send_response(200)
            self.end_headers()
            for _ in range(1000):
                self.wfile.write(b"x" * 10_000)
        else:
            status = int(rest) if kind == "status" else 200
            self.send_response(status)
            if kind == "packed":
                self.send_header("Content-Encoding", "gzip")
            length = len(CONTENT) + (100 if kind == "short" else 10**9 if kind == "huge" else 0)
            self.send_header("Content-Length", str(length))
            self.end_headers()
            self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Quiet(ThreadingHTTPServer):
    """Says nothing of clients that go away."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[ThreadingHTTPServer]:
    Handler.hosts = []
    with Quiet(("127.0.0.1", 0), Handler) as one:
        thread = threading.Thread(target=one.serve_forever, daemon=True)
        thread.start()
        yield one
        one.shutdown()


def own_network(server: ThreadingHTTPServer, **more: Any) -> Fetcher:
    """One that takes loopback for the Internet, as long as the host is called so."""
    port = server.server_address[1]

    def resolve(host: str, _: int) -> list[str]:
        return {"public.test": ["127.0.0.1"], "inner.test": ["10.0.0.1"], "both.test": ["127.0.0.1", "10.0.0.1"]}[host]

    named: dict[str, Any] = {"max_bytes": 1_000_000, "seconds": 5.0, "resolve": resolve, **more}
    return Fetcher(allowed=lambda address: address == "127.0.0.1", ports=frozenset({port}), **named)


def base(server: ThreadingHTTPServer) -> str:
    return f"http://public.test:{server.server_address[1]}"


def test_a_picture_is_fetched_in_the_name_of_its_host(server: ThreadingHTTPServer) -> None:
    assert own_network(server).fetch(f"{base(server)}/a.png?x=1") == CONTENT
    assert Handler.hosts[-1] == base(server).removeprefix("http://")


def test_redirects_are_followed_and_looked_at(server: ThreadingHTTPServer) -> None:
    fetcher, url = own_network(server), base(server)
    assert fetcher.fetch(f"{url}/redirect/{url}/redirect/{url}/a.png") == CONTENT
    assert fetcher.fetch(f"{url}/redirect//a.png") == CONTENT
    port = server.server_address[1]
    for inner in (f"http://inner.test:{port}/", "file:///etc/passwd", f"http://both.test:{port}/", "gopher://x/"):
        seen = len(Handler.hosts)
        with pytest.raises(Problem, match="url: expected"):
            fetcher.fetch(f"{url}/redirect/{inner}")
        assert len(Handler.hosts) == seen + 1  # the first server only
    with pytest.raises(Problem, match="at most 3 redirects"):
        fetcher.fetch(f"{url}/redirect/{url}/redirect/{url}/redirect/{url}/redirect/{url}/a.png")


def test_a_name_that_changes_its_mind_is_resolved_once(server: ThreadingHTTPServer) -> None:
    asked: list[str] = []

    def rebinding(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    assert own_network(server, resolve=rebinding).fetch(f"{base(server)}/a.png") == CONTENT
    assert asked == ["public.test"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("status/404", "found status 404"), ("status/500", "found status 500"), ("packed", "another encoding"),
        ("short", "a part of it"), ("huge", "at most 1,000,000 bytes"), ("endless", "at most 1,000,000 bytes"),
    ],
)  # fmt: skip
def test_what_is_no_whole_picture_is_refused(server: ThreadingHTTPServer, path: str, said: str) -> None:
    with pytest.raises(Problem, match=said):
        own_network(server).fetch(f"{base(server)}/{path}")


def test_a_server_that_drips_is_left_in_time(server: ThreadingHTTPServer) -> None:
    begun = time.monotonic()
    with pytest.raises(Problem, match=r"within 0\.5 s"):
        own_network(server, seconds=0.5).fetch(f"{base(server)}/drip")
    assert time.monotonic() - begun < 8  # dripping takes ten


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/", "http://localhost/", "http://[::1]/", "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/", "http://0x7f.1/", "http://0/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::7f00:1]/",
        "https://10.0.0.1/", "ftp://example.org/a.png", "file:///etc/passwd", "http://", "x", "", "http://user:pw@example.org/",
        "http://example.org:22/", "http://example.org:99999/", "http://exa mple.org/", "http://é.org/", "http://a\r\nb/",
        "http://" + "a" * 3000, "http://[::1", "//example.org/a.png",
    ],
)  # fmt: skip
def test_what_is_not_public_is_refused(url: str) -> None:
    with pytest.raises(Problem, match=r"^url: expected"):
        Fetcher(max_bytes=1000, seconds=5).fetch(url)


def test_addresses_that_are_not_public_are_known() -> None:
    inner = [
        "192.168.1.1",
        "172.16.0.1",
        "0.0.0.0",
        "255.255.255.255",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "::",
        "nonsense",
    ]
    assert not any(map(is_public, inner)) and is_public("8.8.8.8") and is_public("2606:4700::1111")


def test_the_route_is_off_unless_it_is_wanted(tmp_path: Path, server: ThreadingHTTPServer) -> None:
    body = {"url": f"{base(server)}/a.png"}
    with in_threads(tmp_path) as served:
        answer = served.anyone.post("/v1/detect/url", json=body)
        assert answer.status_code == 403 and "this service fetches none" in answer.json()["detail"]
    with in_threads(tmp_path, GENEROUS, fetcher=own_network(server), fetch_urls=True) as served:
        said = served.anyone.post("/v1/detect/url", json=body).json()
        assert (said["image"], said["watermarks"]) == (body["url"], [])
        for wrong in ({"url": 3}, {}, [], {"url": "http://127.0.0.1/"}, {"url": "x"}):
            assert served.anyone.post("/v1/detect/url", json=wrong).status_code == 400
        assert served.anyone.post("/v1/detect/url", content=b"{" * 10000).status_code == 415
