"""OAuth 2.0 client credentials (RFC 6749, section 4.4) for the Soft Binding Resolution API: an API key's id and the key
are exchanged for a token that lives some minutes and may do what its scopes say, and nothing else of this service.

A token is a JWT, signed (HS256) with a secret in a file beside that of the API keys; machines that share those share
tokens. It names the key and no role: what the key may, and whether it was revoked, is asked when the token is used.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

from fastapi import Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException

from wam.service.api_keys import ApiKey, ApiKeyError, KeyStore
from wam.service.bodies import media_type
from wam.service.problems import unavailable
from wam.service.rates import Rates, client_of
from wam.service.roles import Role

PATH = "/oauth2/token"
METADATA_PATH = "/.well-known/oauth-authorization-server"
FETCH, STORE, BIND = "fetch:manifests", "store:manifests", "store:bindings"
SCOPES: Mapping[str, str] = {
    FETCH: "find and fetch manifests",
    STORE: "store manifests, and delete those that the key may",
    BIND: "let a mark lead to a manifest",
}
OF_ROLE: Mapping[Role, tuple[str, ...]] = {
    Role.MARKER: (FETCH, STORE, BIND),
    Role.AUDITOR: (FETCH,),
    Role.ADMIN: (FETCH, STORE, BIND),
}
"""What the keys of a role may ask for."""
NEEDED: Mapping[str, str] = {
    "match_value": FETCH,
    "match_binding": FETCH,
    "match_content": FETCH,
    "match_reference": FETCH,
    "fetch_manifest": FETCH,
    "show_receipt": FETCH,
    "check_receipt": FETCH,
    "store_manifest": STORE,
    "delete_manifest": STORE,
    "store_binding": BIND,
    "replace_binding": BIND,
}
"""The scope that a route needs, by its name; to any other no token is a key."""
LIFETIME = 600  # seconds
_ISSUER, _AUDIENCE, _ALGORITHM = "wam", "c2pa-soft-binding", "HS256"
_SECRET_BYTES, _LONGEST = 32, 2048
_FORM = "application/x-www-form-urlencoded"


@dataclass(frozen=True)
class Grant:
    """What a token gives: the ``key`` that it was made for, and ``scopes``."""

    key: ApiKey
    scopes: frozenset[str]


class TokenBook:
    """Makes tokens for the keys of a store, and knows them again."""

    def __init__(self, keys: KeyStore) -> None:
        self._keys = keys
        self._place = keys.path.with_name(f"{keys.path.name}.tokens")

    @property
    def works(self) -> bool:
        """Whether the package that signs tokens is there."""
        return find_spec("joserfc") is not None

    def make(self, key: ApiKey, scopes: frozenset[str], *, now: float | None = None) -> str:
        """A token. Raises ``ApiKeyError`` where there is no secret to sign with and none can be kept."""
        from joserfc import jwt
        from joserfc.jwk import OctKey

        begun = int(time.time() if now is None else now)
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": key.id, "iat": begun, "exp": begun + LIFETIME}
        secret = OctKey.import_key(self._secret(make=True))
        return jwt.encode({"alg": _ALGORITHM}, {**claims, "scope": " ".join(sorted(scopes))}, secret)

    def check(self, text: str) -> Grant | None:
        """What a token gives; None for one that was not made here, is too old, or whose key was revoked. Raises
        ``ApiKeyError``."""
        if not self.works or len(text) > _LONGEST or text.count(".") != 2:
            return None
        secret = self._secret(make=False)
        claims = None if secret is None else _claims(text, secret)
        if claims is None:
            return None
        key = next((one for one in self._keys.list() if one.id == claims["sub"] and one.revoked is None), None)
        if key is None:
            return None
        return Grant(key, frozenset(str(claims["scope"]).split()) & frozenset(OF_ROLE[key.role]))

    def _secret(self, *, make: bool) -> Any:
        """The secret of the file, made by the first that needs one; None where there is none."""
        try:
            if make and not self._place.exists():
                _make_private(self._place, secrets.token_hex(_SECRET_BYTES).encode())
            found = bytes.fromhex(self._place.read_text(encoding="ascii"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise ApiKeyError(f"{self._place}: expected the secret of tokens, found none that can be read") from error
        if len(found) < _SECRET_BYTES:
            raise ApiKeyError(f"{self._place}: expected the secret of tokens, found a short one; remove it")
        return found


def _make_private(place: Path, content: bytes) -> None:
    """A file that is there whole or not at all, for its owner alone; one that another made in the meantime stays."""
    place.parent.mkdir(parents=True, exist_ok=True)
    temporary = place.with_name(f"{place.name}.{secrets.token_hex(8)}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
            stream.write(content)
        try:
            os.link(temporary, place)
        except FileExistsError:
            return
        except OSError:  # a file system without links
            os.replace(temporary, place)
    finally:
        temporary.unlink(missing_ok=True)


def _claims(text: str, secret: bytes) -> dict[str, Any] | None:
    """What a token says, None for one that is not ours or not valid now."""
    from joserfc import jwt
    from joserfc.errors import JoseError
    from joserfc.jwk import OctKey

    wanted: dict[str, Any] = {
        "iss": {"essential": True, "value": _ISSUER},
        "aud": {"essential": True, "value": _AUDIENCE},
        **{name: {"essential": True} for name in ("sub", "iat", "exp", "scope")},
    }
    try:
        token = jwt.decode(text, OctKey.import_key(secret), algorithms=[_ALGORITHM])
        jwt.JWTClaimsRegistry(**wanted).validate(token.claims)
    except (JoseError, ValueError, TypeError, KeyError):
        return None
    return token.claims if isinstance(token.claims, dict) else None


class Tokens:
    """Its handlers."""

    def __init__(self, book: TokenBook, keys: KeyStore, rates: Rates) -> None:
        self._book, self._keys, self._rates = book, keys, rates

    async def issue_token(self, request: Request) -> Response:
        """Exchanges an API key for a token: grant_type client_credentials; the client is a key's id, its secret the
        key."""
        if not self._book.works:
            raise unavailable("tokens: expected the package joserfc, found none; tell who runs this")
        if media_type(request) != _FORM:
            return _refused("invalid_request", f"expected a body of type {_FORM}")
        try:
            form = {name: value for name, value in (await request.form()).multi_items() if isinstance(value, str)}
        except HTTPException:
            return _refused("invalid_request", "expected a form that can be read")
        if form.get("grant_type") != "client_credentials":
            return _refused("unsupported_grant_type", "expected grant_type client_credentials")
        address = client_of(request.client.host if request.client else "unknown")
        await asyncio.to_thread(self._rates.refuse_guessing, address)
        try:
            key = await asyncio.to_thread(self._client, request.headers.get("authorization"), form)
        except ApiKeyError:
            raise unavailable("keys: expected to read them, found that this cannot be done now") from None
        if key is None:
            await asyncio.to_thread(self._rates.wrong_key, address)
            return _refused("invalid_client", "expected the id of an API key and the key", status=401)
        return await self._granted(key, form.get("scope", ""))

    async def token_metadata(self, request: Request) -> Response:
        """Where tokens are given out (RFC 8414)."""
        root = str(request.base_url).rstrip("/")
        said = {
            "issuer": root,
            "token_endpoint": root + PATH,
            "grant_types_supported": ["client_credentials"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
            "scopes_supported": list(SCOPES),
            "response_types_supported": [],
        }
        return JSONResponse(said)

    async def _granted(self, key: ApiKey, asked: str) -> Response:
        own, wanted = frozenset(OF_ROLE.get(key.role, ())), frozenset(asked.split())
        if not wanted <= own:
            return _refused("invalid_scope", f"expected scopes of this key: {' '.join(sorted(own)) or 'none'}")
        scopes = wanted or own
        try:
            token = await asyncio.to_thread(self._book.make, key, scopes)
        except ApiKeyError:
            raise unavailable("tokens: expected to keep their secret, found that this cannot be done") from None
        said = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
            "scope": " ".join(sorted(scopes)),
        }
        return JSONResponse(said, headers={"Cache-Control": "no-store", "Pragma": "no-cache"})

    def _client(self, header: str | None, form: Mapping[str, str]) -> ApiKey | None:
        """The key of whoever asks, by HTTP Basic or in the form; not both, and the id has to be the key's."""
        in_form = "client_id" in form or "client_secret" in form
        if header is not None:
            named = None if in_form else _basic(header)
        else:
            named = (form.get("client_id", ""), form.get("client_secret", ""))
        if named is None:
            return None
        key = self._keys.check(named[1])
        return key if key is not None and hmac.compare_digest(key.id.encode(), named[0].encode()) else None


def _basic(header: str) -> tuple[str, str] | None:
    """User and password of HTTP Basic, each as a form encodes them (RFC 6749, section 2.3.1)."""
    scheme, _, text = header.partition(" ")
    try:
        user, colon, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return (unquote_plus(user), unquote_plus(password)) if scheme.lower() == "basic" and colon else None


def _refused(error: str, why: str, *, status: int = 400) -> Response:
    """An error as RFC 6749, section 5.2, has it."""
    headers = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    if status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="wam"'
    return JSONResponse({"error": error, "error_description": why}, status, headers=headers)
