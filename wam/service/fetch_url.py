"""A picture behind a URL that a stranger names, without being led to what only this machine can reach.

A name is resolved once, every address it has must be a public one, and the connection goes to an address that was
looked at, whatever the name says a moment later. Redirects are followed a few times, each looked at likewise. Proxies
of the environment, cookies, passwords and other ports are not used. All of it ends after one time and one size.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import SplitResult, urljoin, urlsplit

from wam.service.problems import Problem, bad_request

PORTS = {"http": 80, "https": 443}
REDIRECTS = 3
REDIRECT_STATUSES = (301, 302, 303, 307, 308)
LONGEST_URL = 2048
CHUNK = 1 << 16
AGENT = "wam-toolkit"
NAT64 = ipaddress.ip_network("64:ff9b::/96")

Resolve = Callable[[str, int], list[str]]


def addresses_of(host: str, port: int) -> list[str]:
    """All addresses of a name, asked for once."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def is_public(address: str) -> bool:
    """Whether an address is one of the public Internet, also where it stands for one of IPv4.

    >>> [is_public(a) for a in ("93.184.215.14", "10.0.0.1", "127.0.0.1", "169.254.169.254", "100.64.0.1", "::1")]
    [True, False, False, False, False, False]
    >>> [is_public(a) for a in ("::ffff:10.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1%eth0", "224.0.0.1")]
    [False, False, False, False, False]
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if found.scope_id is not None:
            return False
        inner = found.ipv4_mapped or found.sixtofour
        if inner is None and found.teredo is not None:
            inner = found.teredo[1]
        if inner is None and found in NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if found.is_site_local:
            return False
    return found.is_global and not (found.is_multicast or found.is_reserved or found.is_unspecified)


class NotFetchedError(Problem):
    """What a URL that may be asked for did not give."""

    def __init__(self, detail: str) -> None:
        super().__init__(400, "bad-request", detail)


class Fetcher:
    """Fetches what is public: at most ``max_bytes`` within ``seconds``. ``resolve``, ``allowed`` and ``ports`` say what
    that is; others are for networks of one's own."""

    def __init__(
        self,
        *,
        max_bytes: int,
        seconds: float,
        resolve: Resolve = addresses_of,
        allowed: Callable[[str], bool] = is_public,
        ports: frozenset[int] = frozenset(PORTS.values()),
    ) -> None:
        self._max_bytes, self._seconds = max_bytes, seconds
        self._resolve, self._allowed, self._ports = resolve, allowed, ports

    def fetch(self, url: str) -> bytes:
        """The content; raises ``Problem``. Blocks."""
        end = time.monotonic() + self._seconds
        for _ in range(REDIRECTS + 1):
            parts, port = self._checked(url)
            found = self._once(parts, port, end)
            if isinstance(found, bytes):
                return found
            url = urljoin(url, found)
        raise NotFetchedError(f"url: expected at most {REDIRECTS} redirects, found more; give the last URL")

    def _checked(self, url: str) -> tuple[SplitResult, int]:
        """The parts of a URL that may be asked for."""
        if len(url) > LONGEST_URL or not url.isascii() or not url.isprintable() or " " in url:
            raise bad_request(f"url: expected at most {LONGEST_URL} printable ASCII characters, found others; quote it")
        try:
            parts = urlsplit(url)
            port = parts.port or PORTS.get(parts.scheme, 0)
        except ValueError:
            raise bad_request("url: expected one like https://host/picture.jpg, found another") from None
        if parts.scheme not in PORTS or not parts.hostname:
            raise bad_request("url: expected one like https://host/picture.jpg, found another")
        if parts.username is not None or parts.password is not None:
            raise bad_request("url: expected one without a password, found one with it")
        if port not in self._ports:
            raise bad_request("url: expected the usual port, found another")
        return parts, port

    def _once(self, parts: SplitResult, port: int, end: float) -> bytes | str:
        """The content, or where it is said to be instead."""
        host = str(parts.hostname)
        address = self._address(host, port)
        connection = _connection(parts.scheme, host, address, port, self._left(end))
        watch = threading.Timer(self._left(end), _cut, [connection])  # a server that drips never idles
        watch.daemon = True
        watch.start()
        try:
            target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("GET", target, headers={"User-Agent": AGENT, "Accept-Encoding": "identity"})
            answer = connection.getresponse()
            if answer.status in REDIRECT_STATUSES and answer.headers["location"]:
                return str(answer.headers["location"])
            if answer.status != 200:
                raise NotFetchedError(f"url: expected a picture there, found status {answer.status}")
            if answer.headers.get("content-encoding", "identity").lower() != "identity":
                raise NotFetchedError("url: expected a picture as it is, found one in another encoding")
            return self._content(answer, end)
        except (OSError, http.client.HTTPException, ValueError) as error:
            if time.monotonic() >= end:
                raise self._too_long() from error
            raise NotFetchedError("url: expected a server that answers, found none") from error
        finally:
            watch.cancel()
            connection.close()

    def _address(self, host: str, port: int) -> str:
        """An address of a host all of whose addresses are allowed: one that has others too is out for them."""
        try:
            found = self._resolve(host, port)
        except (OSError, UnicodeError):
            found = []
        if not found:
            raise NotFetchedError("url: expected a host that is known, found none")
        if not all(map(self._allowed, found)):
            raise bad_request("url: expected a host of the public Internet, found another")
        return found[0]

    def _content(self, answer: http.client.HTTPResponse, end: float) -> bytes:
        if (answer.length or 0) > self._max_bytes:
            raise self._too_large()
        content = bytearray()
        while chunk := answer.read1(CHUNK):
            content += chunk
            if len(content) > self._max_bytes:
                raise self._too_large()
            self._left(end)
        if answer.length:  # cut short by the watch, or by the other side
            self._left(end)
            raise NotFetchedError("url: expected a whole picture, found a part of it")
        return bytes(content)

    def _left(self, end: float) -> float:
        left = end - time.monotonic()
        if left <= 0:
            raise self._too_long()
        return left

    def _too_long(self) -> NotFetchedError:
        return NotFetchedError(f"url: expected a picture within {self._seconds:g} s, found none; try again")

    def _too_large(self) -> Problem:
        return Problem(413, "too-large", f"url: expected at most {self._max_bytes:,} bytes there, found more")


def _connection(scheme: str, host: str, address: str, port: int, seconds: float) -> http.client.HTTPConnection:
    """To an address that was looked at, in the name of a host."""
    if scheme == "https":
        return _SecureTo(address, host, port, seconds)
    return _To(address, host, port, seconds)


class _To(http.client.HTTPConnection):
    """Connects to an address; the host is what it says it asks for."""

    def __init__(self, address: str, host: str, port: int, seconds: float) -> None:
        super().__init__(host, port, timeout=seconds)
        self.address = address

    def connect(self) -> None:
        self.sock = socket.create_connection((self.address, self.port), self.timeout)


class _SecureTo(_To):
    """The same over TLS, with a certificate of the host."""

    default_port = PORTS["https"]

    def connect(self) -> None:
        super().connect()
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def _cut(connection: http.client.HTTPConnection) -> None:
    """Ends whatever a connection waits for."""
    sock = connection.sock
    if sock is not None:
        with suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
