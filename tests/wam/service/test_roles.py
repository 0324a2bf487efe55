"""Every route with every role: what the table allows is done, all else is denied, and no route is left out of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fastapi.responses import Response
from fastapi.routing import APIRoute

from tests.wam.service.asgi import ask
from tests.wam.service.served import Served, in_threads, picture, upload
from wam.service.app import create_app
from wam.service.roles import ALLOWED, Role, View, may, view_of

DENIED = {Role.ANONYMOUS: 401} | {role: 403 for role in set(Role) - {Role.ANONYMOUS}}
EXPECTED = {  # who may use what, written down a second time: a change of the table has to be meant
    "page": "everybody", "page_style": "everybody", "page_script": "everybody", "page_icon": "everybody",
    "page_texts": "everybody", "openapi": "everybody", "healthz": "everybody", "readyz": "everybody",
    "about": "everybody", "detect": "everybody", "detect_url": "everybody", "result_file": "everybody",
    "metrics": "auditor admin", "list_records": "auditor admin", "show_record": "auditor admin",
    "embed": "marker admin", "withdraw_record": "admin",
    "start_job": "marker auditor admin", "show_job": "marker auditor admin", "job_results": "marker auditor admin",
    "end_job": "marker auditor admin", "job_files": "marker auditor admin", "start_marking_job": "marker admin",
    "match_value": "everybody", "match_binding": "everybody", "match_content": "everybody",
    "match_reference": "everybody", "fetch_manifest": "everybody", "show_receipt": "everybody",
    "check_receipt": "everybody", "supported_algorithms": "everybody", "capabilities": "everybody",
    "binding_status": "everybody", "well_known": "everybody", "store_manifest": "marker admin",
    "issue_token": "everybody", "token_metadata": "everybody",
    "store_binding": "marker admin", "replace_binding": "marker admin", "delete_manifest": "admin",
}  # fmt: skip


def routes(served: Served) -> list[APIRoute]:
    """All routes that the application has, the framework's own too."""
    return list(create_app(served.house, served.keys).routes)  # type: ignore[arg-type]


def test_every_route_is_in_the_table_and_the_table_names_no_other(served: Served) -> None:
    assert {route.name for route in routes(served)} == set(ALLOWED) == set(EXPECTED)


@pytest.mark.parametrize("role", list(Role))
def test_every_route_with_every_role(served: Served, role: Role) -> None:
    for route in routes(served):
        path = route.path.format(link="wm:0000-0000", token="none", id="none", manifest_id="none")
        allowed = EXPECTED[route.name] == "everybody" or str(role) in EXPECTED[route.name].split()
        for method in sorted(route.methods or ()):
            answer = served[role].request(method, path)
            where = (route.name, method, role, answer.status_code)
            if allowed:  # what then is wrong with the request is another matter
                assert answer.status_code not in (401, 500), where
                assert answer.status_code != 403 or route.name in ("detect_url", "match_reference"), where
            else:
                assert answer.status_code == DENIED[role], where
                assert method == "HEAD" or answer.json()["status"] == DENIED[role]


def test_a_route_that_the_table_does_not_name_is_nobody_s(tmp_path: Path) -> None:
    with in_threads(tmp_path) as served:
        app = create_app(served.house, served.keys)

        async def forgotten() -> Response:
            return Response("secret")

        app.add_api_route("/forgotten", forgotten)
        for role in Role:
            authorization = served[role].headers.get("authorization")
            headers = {} if authorization is None else {"authorization": authorization}
            answer = ask(app, "GET", "/forgotten", headers)
            assert answer.status_code == DENIED[role]
        assert not may(Role.ADMIN, "forgotten") and not may(Role.ADMIN, None)


def test_a_key_that_was_revoked_is_refused_at_once(served: Served) -> None:
    key, made = served.keys.new("for a while", Role.ADMIN)
    headers = {"Authorization": f"Bearer {key}"}
    assert served.anyone.get("/v1/records", headers=headers).status_code == 200
    served.keys.revoke(made.id)
    assert served.anyone.get("/v1/records", headers=headers).status_code == 401
    assert served.anyone.get("/healthz", headers=headers).status_code == 401  # not taken for nobody's


@pytest.mark.parametrize(
    "header",
    ["", "Bearer", "Basic dTpw", "Bearer wam_0123456789_" + "A" * 43, "Bearer é", "bearer\tx", "Bearer " + "x" * 9000],
)  # fmt: skip
def test_what_is_no_key_is_refused(served: Served, header: str) -> None:
    answer = served.anyone.get("/v1/about", headers={"Authorization": header.encode("latin-1")})  # type: ignore[dict-item]
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(("role", "view"), [("anonymous", "public"), ("marker", "partner"), ("auditor", "staff")])
def test_a_role_sees_its_view_and_narrower_ones(served: Served, role: str, view: str) -> None:
    client = served[Role(role)]
    assert client.get("/v1/about").json()["view"] == view
    assert client.post("/v1/detect", **upload(picture())).json()["view"] == view
    assert client.post("/v1/detect?view=public", **upload(picture())).json()["view"] == "public"
    wider = client.post("/v1/detect?view=staff", **upload(picture())).json()["view"]
    assert wider == view


def test_a_deployment_may_show_everybody_more(tmp_path: Path) -> None:
    with in_threads(tmp_path, public_view=View.PARTNER) as served:
        assert served.anyone.get("/v1/about").json()["view"] == "partner"
    assert view_of(Role.MARKER, public=View.STAFF) is View.STAFF
