"""Asks a service to read and mark pictures, with nothing but Python's own HTTP; what it answers is the contract's."""

from __future__ import annotations

import http.client
import json
import os
import secrets
import time
from collections.abc import Mapping
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import quote, urlencode, urlsplit

from wam.errors import ImageError, OptionsError, WamError, show_name
from wam.pipeline.contract import DetectObject, EmbedObject

KEY_VARIABLE = "WAM_API_KEY"
SECONDS = 600.0  # to wait for an answer
PATIENCE = 10  # times that a client asks again when it is told to wait
LONGEST_WAIT = 60.0  # seconds that it lets itself be told to
PICTURE_STATUSES = (413, 422)  # what is wrong with the picture, not with the request


class ServerError(WamError):
    """A service that cannot be reached, or that refuses a request."""


class Client:
    """A service at a URL; the API key is that of ``WAM_API_KEY``, if there is one."""

    def __init__(self, url: str) -> None:
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            parts, port = urlsplit(""), None
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment:
            raise OptionsError(f"server: expected a URL like http://127.0.0.1:8000, found {show_name(url)}; give one")
        self.shown = f"{parts.scheme}://{parts.hostname}{'' if port is None else f':{port}'}"
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._base = parts.path.rstrip("/")
        self._key = os.environ.get(KEY_VARIABLE)

    def about(self) -> dict[str, Any]:
        """What it says of itself: ``model`` that it reads and marks with, ``view`` that the caller is shown, and more;
        raises ``ServerError``."""
        said: Any = json.loads(self._ask("GET", "/v1/about", b"", {})[1])
        if not isinstance(said, dict) or not {"model", "view"} <= said.keys():
            raise ServerError(f"{self.shown}: expected a service for watermarks, found another; is it wam serve?")
        return said

    def masks(self, content: bytes, name: str, query: Mapping[str, Any]) -> tuple[DetectObject, list[bytes]]:
        """What it reads in a picture, and a mask of each mark as a PNG file; raises likewise."""
        said: dict[str, Any] = dict(self.detect(content, name, {**query, "overlay": True}))
        links = said.pop("masks", [])
        said.pop("overlay", None)
        return cast(DetectObject, said), [self._ask("GET", str(link), b"", {}, name=name)[1] for link in links]

    def detect(self, content: bytes, name: str, query: Mapping[str, Any]) -> DetectObject:
        """What it reads in a picture; raises ``ImageError`` or ``ServerError``."""
        asked = {key: str(value).lower() for key, value in query.items() if value}
        headers = {"Content-Type": "application/octet-stream"}
        _, body = self._ask("POST", f"/v1/detect?{urlencode(asked)}", content, headers, name=name)
        return cast(DetectObject, {**json.loads(body), "image": name})

    def embed(self, content: bytes, name: str, fields: Mapping[str, Any]) -> tuple[EmbedObject, bytes]:
        """A marked picture with what is said of it; raises likewise."""
        edge = secrets.token_hex(16)
        body = bytearray()
        for key, value in fields.items():
            if value is not None and value is not False:
                text = "true" if value is True else str(value)
                body += f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{text}\r\n'.encode()
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{quote(name)[-200:]}"\r\n'
        body += head.encode() + b"Content-Type: application/octet-stream\r\n\r\n" + content
        body += f"\r\n--{edge}--\r\n".encode()
        headers = {"Content-Type": f"multipart/form-data; boundary={edge}", "Accept": "multipart/mixed"}
        kind, answer = self._ask("POST", "/v1/embed", bytes(body), headers, name=name)
        message: Message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + answer)
        parts = [cast(Message, part).get_payload(decode=True) for part in message.get_payload()]
        if len(parts) != 2 or not all(isinstance(part, bytes) for part in parts):
            raise ServerError(f"{self.shown}: expected a marked picture, found another answer; is it wam serve?")
        said, file = (cast(bytes, part) for part in parts)
        return cast(EmbedObject, {**json.loads(said), "image": name}), file

    def _ask(
        self, method: str, path: str, body: bytes, headers: Mapping[str, str], *, name: str | None = None
    ) -> tuple[str, bytes]:
        """The type and body of an answer; waits where it is told to."""
        for again in range(PATIENCE + 1):
            status, kind, answer, wait = self._once(method, path, body, headers)
            if 200 <= status < 300:
                return kind, answer
            if status not in (429, 503) or again == PATIENCE:
                raise self._refused(status, kind, answer, name)
            time.sleep(min(wait, LONGEST_WAIT))
        raise AssertionError("the last attempt returns or raises")

    def _once(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> tuple[int, str, bytes, float]:
        make = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = make(self._host, self._port, timeout=SECONDS)
        key = {} if self._key is None else {"Authorization": f"Bearer {self._key}"}
        try:
            connection.request(method, self._base + path, body, {**headers, **key})
            answer = connection.getresponse()
            wait = answer.headers.get("Retry-After", "1")
            seconds = float(wait) if wait.isdigit() else 1.0
            return answer.status, answer.headers.get("Content-Type", ""), answer.read(), seconds
        except (OSError, http.client.HTTPException, ValueError) as error:
            found = getattr(error, "strerror", None) or type(error).__name__
            line = f"{self.shown}: expected a service that answers, found: {found}; check the URL, and that it runs"
            raise ServerError(line) from error
        finally:
            connection.close()

    def _refused(self, status: int, kind: str, answer: bytes, name: str | None) -> WamError:
        detail = f"status {status}"
        if kind.startswith("application/problem+json"):
            detail = show_name(str(json.loads(answer).get("detail")))
        if status in PICTURE_STATUSES and name is not None:
            sent, _, rest = detail.partition(": ")
            return ImageError(f"{show_name(name)}: {rest if rest else sent}")
        remedy = f"; it is taken from {KEY_VARIABLE}" if status == HTTPStatus.UNAUTHORIZED else ""
        return ServerError(f"{self.shown}: {detail}{remedy}")
