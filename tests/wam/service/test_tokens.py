"""OAuth 2.0 client credentials: tokens for the Soft Binding Resolution API, what they are for and what they are not."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytest.importorskip("joserfc", reason="needs joserfc")

from joserfc import jwt
from joserfc.jwk import OctKey

from tests.wam.service.served import Served, in_threads
from wam.service.api_keys import KeyStore
from wam.service.roles import ALLOWED, Role
from wam.service.tokens import LIFETIME, NEEDED, SCOPES, TokenBook

BASE, PLACE = "/c2pa/v1", "/oauth2/token"
BINDING = {"manifestId": "urn:c2pa:1", "bindingValue": "AAAA"}
LOOK = {"params": {"alg": "a", "value": "AAAA"}}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with in_threads(tmp_path_factory.mktemp("served")) as one:
        yield one


@pytest.fixture(scope="module")
def client(service: Served) -> tuple[str, str]:
    """Id and secret of a marker's key."""
    key, made = service.keys.new("client", Role.MARKER)
    return made.id, key


def asked(service: Served, client: tuple[str, str], **form: str) -> httpx.Response:
    return service.anyone.post(PLACE, data={"grant_type": "client_credentials", **form}, auth=client)


def bearer(token: str) -> dict[str, dict[str, str]]:
    return {"headers": {"Authorization": f"Bearer {token}"}}


def test_a_token_does_what_its_scopes_say(service: Served, client: tuple[str, str]) -> None:
    answer = asked(service, client)
    said = answer.json()
    assert answer.status_code == 200 and answer.headers["cache-control"] == "no-store"
    assert (said["token_type"], said["expires_in"]) == ("Bearer", LIFETIME)
    assert set(said["scope"].split()) == set(SCOPES)
    whole = bearer(said["access_token"])
    assert service.anyone.get(f"{BASE}/matches/byBinding", **LOOK, **whole).json() == {"matches": []}
    assert service.anyone.post(f"{BASE}/bindings", json=BINDING, **whole).status_code == 404  # let in, none is kept
    narrow = asked(service, client, scope="fetch:manifests").json()
    assert narrow["scope"] == "fetch:manifests"
    reader = bearer(narrow["access_token"])
    assert service.anyone.get(f"{BASE}/matches/byBinding", **LOOK, **reader).status_code == 200
    refused = service.anyone.post(f"{BASE}/bindings", json=BINDING, **reader)
    assert refused.status_code == 403 and 'scope="store:bindings"' in refused.headers["www-authenticate"]


def test_the_client_may_say_who_it_is_in_the_form(service: Served, client: tuple[str, str]) -> None:
    form = {"grant_type": "client_credentials", "client_id": client[0], "client_secret": client[1]}
    assert service.anyone.post(PLACE, data=form).status_code == 200
    both = service.anyone.post(PLACE, data=form, auth=client)
    assert (both.status_code, both.json()["error"]) == (401, "invalid_client")


def test_a_token_is_no_key_of_other_routes(service: Served, client: tuple[str, str]) -> None:
    whole = bearer(asked(service, client).json()["access_token"])
    answer = service.anyone.post("/v1/detect", content=b"x", **whole)
    assert answer.status_code == 403 and "found a token for soft bindings only" in answer.json()["detail"]
    about = service.anyone.get("/v1/about", **whole)
    assert about.status_code == 200 and about.json()["role"] == "marker"
    deleted = service.anyone.delete(f"{BASE}/manifests/urn:c2pa:1", **whole)
    assert deleted.status_code == 403  # the role decides as well


def test_keys_and_nobody_are_let_in_as_before(service: Served) -> None:
    assert service[Role.MARKER].post(f"{BASE}/bindings", json=BINDING).status_code == 404
    assert service.anyone.get(f"{BASE}/matches/byBinding", **LOOK).status_code == 200
    assert service.anyone.post(f"{BASE}/bindings", json=BINDING).status_code == 401


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"scope": "fetch:manifests everything"}, 400, "invalid_scope"),
    ],
)
def test_requests_that_make_no_sense(
    service: Served, client: tuple[str, str], form: dict[str, str], status: int, error: str
) -> None:
    answer = asked(service, client, **form)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert service.anyone.post(PLACE, json={}).json()["error"] == "invalid_request"


def test_clients_that_are_none(service: Served, client: tuple[str, str]) -> None:
    other, _ = service.keys.new("other", Role.ADMIN)
    for wrong in ((client[0], "wam_0"), (client[0], other), ("0000000000", client[1])):
        answer = asked(service, wrong)
        assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert service.anyone.post(PLACE, data={"grant_type": "client_credentials"}).status_code == 401
    headers = {"Authorization": "Basic !", "Content-Type": "application/x-www-form-urlencoded"}
    assert service.anyone.post(PLACE, content="grant_type=client_credentials", headers=headers).status_code == 401


def test_an_auditor_fetches_only(service: Served) -> None:
    key, made = service.keys.new("auditor", Role.AUDITOR)
    assert asked(service, (made.id, key)).json()["scope"] == "fetch:manifests"
    assert asked(service, (made.id, key), scope="store:manifests").json()["error"] == "invalid_scope"


def test_a_token_ends_with_its_key(service: Served) -> None:
    key, made = service.keys.new("short", Role.MARKER)
    whole = bearer(asked(service, (made.id, key)).json()["access_token"])
    assert service.anyone.get(f"{BASE}/matches/byBinding", **LOOK, **whole).status_code == 200
    service.keys.revoke(made.id)
    assert service.anyone.get(f"{BASE}/matches/byBinding", **LOOK, **whole).status_code == 401


class TestBook:
    def test_old_and_forged_tokens_are_none(self, tmp_path: Path) -> None:
        keys = KeyStore(tmp_path / "keys.json")
        _, made = keys.new("one", Role.MARKER)
        book = TokenBook(keys)
        good = book.make(made, frozenset({"fetch:manifests"}))
        assert (grant := book.check(good)) is not None and grant.scopes == {"fetch:manifests"}
        assert TokenBook(keys).check(good) is not None  # another process with the same files
        assert book.check(book.make(made, frozenset(SCOPES), now=time.time() - LIFETIME - 1)) is None
        head, body, sign = good.split(".")
        claims = json.loads(base64.urlsafe_b64decode(body + "=="))
        other = OctKey.import_key(b"0" * 32)
        none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').rstrip(b"=").decode()
        changed = base64.urlsafe_b64encode(json.dumps({**claims, "sub": "x"}).encode()).rstrip(b"=").decode()
        for bad in (
            jwt.encode({"alg": "HS256"}, claims, other),
            f"{none}.{body}.",
            f"{head}.{changed}.{sign}",
            "a.b.c",
            "..",
            good[:-3],
            "x" * 5000,
        ):
            assert book.check(bad) is None, bad

    def test_claims_that_are_missing_or_anothers(self, tmp_path: Path) -> None:
        keys = KeyStore(tmp_path / "keys.json")
        _, made = keys.new("one", Role.MARKER)
        book = TokenBook(keys)
        claims = jwt.decode(
            book.make(made, frozenset(SCOPES)), OctKey.import_key(secret_of(tmp_path)), algorithms=["HS256"]
        ).claims
        for change in ({"aud": "other"}, {"iss": "other"}, {"exp": None}, {"sub": "0000000000"}):
            said = {name: value for name, value in {**claims, **change}.items() if value is not None}
            token = jwt.encode({"alg": "HS256"}, said, OctKey.import_key(secret_of(tmp_path)))
            assert book.check(token) is None, change

    def test_the_secret_is_for_its_owner_alone(self, tmp_path: Path) -> None:
        keys = KeyStore(tmp_path / "keys.json")
        _, made = keys.new("one", Role.ADMIN)
        TokenBook(keys).make(made, frozenset())
        place = tmp_path / "keys.json.tokens"
        assert os.name == "nt" or place.stat().st_mode & 0o077 == 0
        assert sorted(one.name for one in tmp_path.iterdir() if "tokens" in one.name) == [place.name]


def secret_of(folder: Path) -> bytes:
    return bytes.fromhex((folder / "keys.json.tokens").read_text())


def test_where_tokens_are_and_what_needs_which(service: Served) -> None:
    said = service.anyone.get("/.well-known/oauth-authorization-server").json()
    assert said["token_endpoint"] == f"{service.url}{PLACE}" and set(said["scopes_supported"]) == set(SCOPES)
    described = service.anyone.get("/openapi.json").json()
    flow = described["components"]["securitySchemes"]["oauth2"]["flows"]["clientCredentials"]
    assert flow["tokenUrl"] == PLACE and set(flow["scopes"]) == set(SCOPES)
    operations = [one for path in described["paths"].values() for one in path.values()]
    needing = {one["operationId"]: one["security"][-1]["oauth2"] for one in operations if "security" in one}
    assert needing == {name: [scope] for name, scope in NEEDED.items()} and set(needing) <= set(ALLOWED)
