"""The application: every route with what OpenAPI says of it, behind the gate."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute

from wam import __version__
from wam.errors import show_name
from wam.networks.strength import LEAST_DB, MOST_DB, STRENGTHS
from wam.provenance.disclosure import PRESETS, VALUES
from wam.service import binding_schemas as schemas
from wam.service.api_keys import ApiKeyError, KeyStore
from wam.service.front import About, Front
from wam.service.gate import Gate
from wam.service.house import House
from wam.service.job import JobObject
from wam.service.marking import LINK_HEADER, Marking
from wam.service.marking_jobs import MarkingJobs
from wam.service.problems import MEDIA_TYPE, Problem, ProblemObject, bad_request, responses, unavailable
from wam.service.rates import Rates
from wam.service.reading import Reading
from wam.service.records import RecordAnswer, RecordList, Records
from wam.service.soft_bindings import BASE, WELL_KNOWN, SoftBindings
from wam.service.tokens import METADATA_PATH, NEEDED, SCOPES, TokenBook, Tokens
from wam.service.tokens import PATH as TOKEN_PATH
from wam.service.views import ServedDetect

LOG = logging.getLogger("wam.service")
FILE = {"type": "string", "format": "binary"}
TEXT = {"type": "string"}
MARK_FIELDS = {
    "file": FILE,
    "asset": TEXT,
    "owner": TEXT,
    "user": TEXT,
    "time": {"type": "string", "format": "date-time"},
    "mode": {"type": "string", "enum": ["link", "record"]},
    "label": {"type": "string", "description": f"true, or presets apart by commas: {', '.join(PRESETS)}"},
    **{name: TEXT for name in (*VALUES, "source_type")},
    "c2pa": {"type": "boolean"},
    "frames": {"type": "boolean"},
    "strength": {"type": "string", "enum": list(STRENGTHS)},
    "psnr": {"type": "number", "minimum": LEAST_DB, "maximum": MOST_DB},
    "quality": {"type": "integer", "minimum": 1, "maximum": 100},
    "format": TEXT,
    "new_link": {"type": "boolean"},
}
REFUSED = (400, 401, 403, 408, 413, 415, 422, 429, 500, 503)  # what a picture may be answered with

Handler = Callable[..., Awaitable[Response]]


def create_app(house: House, keys: KeyStore) -> FastAPI:
    """The application of a service."""

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        sweeper = asyncio.create_task(_sweep(house))
        try:
            yield
        finally:
            sweeper.cancel()
            await house.jobs.close()
            house.folder.close()

    house.jobs.only_for(lambda client: _is_valid(keys, client))
    made, rates, book = _Made(), Rates(house.settings.limits, house.settings.rates), TokenBook(keys)
    gate = Middleware(
        Gate,
        routes=made.routes,
        keys=keys,
        settings=house.settings,
        rates=rates,
        admission=house.admission,
        metrics=house.metrics,
        tokens=book,
    )
    app = FastAPI(
        title="wam",
        description="Invisible image watermarks: read them, make them, look them up.",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        middleware=[gate],
    )
    made.app = app
    app.add_exception_handler(Problem, _say_problem)
    app.add_exception_handler(RequestValidationError, _say_invalid)
    app.add_exception_handler(HTTPException, _say_http)
    _add_routes(app, house, Tokens(book, keys, rates))
    app.openapi = lambda: _described(app)  # type: ignore[method-assign]
    return app


def _is_valid(keys: KeyStore, client: str) -> bool:
    try:
        return keys.is_valid(client)
    except ApiKeyError:
        raise unavailable("keys: expected to read them, found that this cannot be done now") from None


class _Made:
    """The application once it is made, for its gate, which is made before."""

    app: FastAPI

    def routes(self) -> Iterable[BaseRoute]:
        """All that there are by now: a route that is added later passes the gate too."""
        return self.app.routes


def _add_routes(app: FastAPI, house: House, tokens: Tokens) -> None:
    front, reading, marking, records = Front(house), Reading(house), Marking(house), Records(house)
    marking_jobs = MarkingJobs(house, marking)

    def add(method: str, path: str, handler: Handler, said: dict[int | str, dict[str, Any]], **more: Any) -> None:
        name = handler.__name__
        app.add_api_route(path, handler, methods=[method], name=name, operation_id=name, responses=said, **more)

    for path, handler in (
        ("/", front.page),
        ("/page.css", front.page_style),
        ("/page.js", front.page_script),
        ("/texts.js", front.page_texts),
        ("/icon.svg", front.page_icon),
    ):
        add("GET", path, handler, {}, include_in_schema=False)
    add("GET", "/healthz", front.healthz, {})
    add("GET", "/readyz", front.readyz, responses(503))
    add("GET", "/metrics", front.metrics, _binary("text/plain") | responses(401, 403, 429))
    add("GET", "/v1/about", front.about, _model(About) | responses(401, 429))

    picture = {"multipart/form-data": _form({"file": FILE}, "file"), "image/*": FILE, "application/octet-stream": FILE}
    url = {"application/json": {"type": "object", "required": ["url"], "properties": {"url": TEXT}}}
    found = _model(ServedDetect) | responses(*REFUSED)
    add("POST", "/v1/detect", reading.detect, found, openapi_extra=_takes(picture))
    add("POST", "/v1/detect/url", reading.detect_url, found, openapi_extra=_takes(url))
    result = _binary("image/jpeg", "image/png") | responses(401, 404, 429)
    add("GET", "/v1/results/{token}", reading.result_file, result)

    marked = _binary("image/*", "multipart/mixed")
    marked[200]["description"] = (
        f"The marked picture, its link in {LINK_HEADER}; for those who accept multipart/mixed the object of "
        "wam embed --json in front of it."
    )
    form = {"multipart/form-data": _form(MARK_FIELDS, "file", "asset")}
    add("POST", "/v1/embed", marking.embed, marked | responses(*REFUSED), openapi_extra=_takes(form))

    add("GET", "/v1/records", records.list_records, _model(RecordList) | responses(400, 401, 403, 429, 503))
    one = _model(RecordAnswer) | responses(400, 401, 403, 404, 429, 503)
    add("GET", "/v1/records/{link}", records.show_record, one)
    add("POST", "/v1/records/{link}/withdraw", records.withdraw_record, one | responses(409))

    several = {"multipart/form-data": _form({"file": {"type": "array", "items": FILE}}), "application/zip": FILE}
    started = _model(JobObject, 202) | responses(*REFUSED)
    add("POST", "/v1/jobs", reading.start_job, started, status_code=202, openapi_extra=_takes(several))
    marks = {name: schema for name, schema in MARK_FIELDS.items() if name != "file"}
    marks |= {
        "asset_from": {"type": "string", "enum": ["name"]},
        "file": {"type": "array", "items": FILE},
        "list": FILE,
    }
    many = {"multipart/form-data": _form(marks, "file")}
    add("POST", "/v1/jobs/embed", marking_jobs.start_marking_job, started, status_code=202, openapi_extra=_takes(many))
    of_job = responses(401, 403, 404, 429)
    add("GET", "/v1/jobs/{id}", reading.show_job, _model(JobObject) | of_job)
    add("GET", "/v1/jobs/{id}/results", reading.job_results, _binary("application/x-ndjson") | of_job)
    add("GET", "/v1/jobs/{id}/files", reading.job_files, _binary("application/zip") | of_job | responses(409))
    add("DELETE", "/v1/jobs/{id}", reading.end_job, of_job, status_code=204)
    _add_bindings(SoftBindings(house), add)
    granted = _form({"access_token": TEXT, "token_type": TEXT, "expires_in": {"type": "integer"}, "scope": TEXT})
    said = _json(granted) | {code: _oauth_error() for code in (400, 401)} | responses(429, 500, 503)
    fields = {"grant_type": {"type": "string", "enum": ["client_credentials"]}, "scope": TEXT}
    fields |= {"client_id": TEXT, "client_secret": TEXT}
    asked = _takes({"application/x-www-form-urlencoded": _form(fields, "grant_type")})
    add("POST", TOKEN_PATH, tokens.issue_token, said, openapi_extra=asked)
    add("GET", METADATA_PATH, tokens.token_metadata, _json({"type": "object"}))


def _oauth_error() -> dict[str, Any]:
    schema = _form({"error": TEXT, "error_description": TEXT}, "error")
    return {"description": "Refused", "content": {"application/json": {"schema": schema}}}


def _add_bindings(bindings: SoftBindings, add: Callable[..., None]) -> None:
    """The Soft Binding Resolution API of C2PA."""
    found = _json(schemas.MATCHES)
    asked = responses(400, 401, 403, 408, 413, 414, 415, 429, 500, 503)
    one = responses(400, 401, 403, 404, 413, 415, 429, 500, 503)
    binding = _takes({"application/json": _form({"alg": TEXT, "value": TEXT}, "alg", "value")})
    reference = _form(
        {"referenceUrl": TEXT, "assetLength": {"type": "integer"}, "assetType": TEXT}, "referenceUrl", "assetLength"
    )
    entered = _takes(
        {
            "application/json": _form(
                {"bindingValue": TEXT, "alg": TEXT, "manifestId": TEXT}, "bindingValue", "manifestId"
            )
        }
    )
    store = _takes({"application/c2pa": FILE})
    manifest, receipts = BASE + "/manifests/{manifest_id}", BASE + "/manifests/{manifest_id}/receipts"
    add("GET", f"{BASE}/matches/byBinding", bindings.match_value, found | asked)
    add("POST", f"{BASE}/matches/byBinding", bindings.match_binding, found | asked, openapi_extra=binding)
    add(
        "POST",
        f"{BASE}/matches/byContent",
        bindings.match_content,
        found | asked,
        openapi_extra=_takes({"image/*": FILE}),
    )
    by_reference = _takes({"application/json": reference})
    add(
        "POST",
        f"{BASE}/matches/byReference",
        bindings.match_reference,
        found | asked | responses(502),
        openapi_extra=by_reference,
    )
    add("GET", manifest, bindings.fetch_manifest, _binary("application/c2pa") | one)
    add("DELETE", manifest, bindings.delete_manifest, one, status_code=204)
    add(
        "POST",
        f"{BASE}/manifests",
        bindings.store_manifest,
        _json(schemas.STORED) | one,
        openapi_extra=store,
    )
    add("POST", f"{BASE}/bindings", bindings.store_binding, one, status_code=204, openapi_extra=entered)
    add("PUT", f"{BASE}/bindings", bindings.replace_binding, one, status_code=204, openapi_extra=entered)
    receipt = _json(schemas.RECEIPT) | one
    given = _takes({"application/json": {"type": "object"}})
    add("GET", receipts, bindings.show_receipt, receipt)
    add("POST", receipts, bindings.check_receipt, receipt, openapi_extra=given)
    add("GET", f"{BASE}/services/supportedAlgorithms", bindings.supported_algorithms, _json(schemas.ALGORITHMS))
    add("GET", f"{BASE}/services/capabilities", bindings.capabilities, _json(schemas.CAPABILITIES))
    add("GET", f"{BASE}/services/status", bindings.binding_status, _json(schemas.STATUS))
    add("GET", WELL_KNOWN, bindings.well_known, _json(schemas.DISCOVERY))


def _json(schema: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "Successful Response", "content": {"application/json": {"schema": schema}}}}


def _model(model: Any, status: int = 200) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": model}}


def _binary(*kinds: str) -> dict[int | str, dict[str, Any]]:
    return {200: {"description": "Successful Response", "content": {kind: {"schema": FILE} for kind in kinds}}}


def _form(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "required": list(required), "properties": properties}


def _takes(schemas: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """What OpenAPI says of a body that the handler reads itself."""
    content = {kind: {"schema": schema} for kind, schema in schemas.items()}
    return {"requestBody": {"required": True, "content": content}}


def _described(app: FastAPI) -> dict[str, Any]:
    """OpenAPI, with the one shape of all errors, and the key."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        parts = made.setdefault("components", {})
        properties = {name: {"type": "integer"} if name == "status" else TEXT for name in ProblemObject.__annotations__}
        parts.setdefault("schemas", {})["Problem"] = _form(properties, *properties)
        flow = {"tokenUrl": TOKEN_PATH, "scopes": dict(SCOPES)}
        parts["securitySchemes"] = {
            "key": {"type": "http", "scheme": "bearer"},
            "oauth2": {"type": "oauth2", "flows": {"clientCredentials": flow}},
        }
        made["security"] = [{}, {"key": []}]
        for operation in (one for path in made["paths"].values() for one in path.values()):
            said = operation["responses"]
            if (needed := NEEDED.get(operation.get("operationId", ""))) is not None:
                operation["security"] = [{}, {"key": []}, {"oauth2": [needed]}]
            if MEDIA_TYPE not in said.get("422", {}).get("content", {}):
                said.pop("422", None)  # the framework's own, which is answered as 400 here
                if operation.get("parameters"):
                    said.setdefault("400", responses(400)[400])
        app.openapi_schema = made
    return app.openapi_schema


async def _sweep(house: House) -> None:
    while True:
        await _swept(house.jobs.sweep())  # first: jobs of a service that is gone may be waiting
        await _swept(asyncio.to_thread(house.kept.sweep))
        await asyncio.sleep(house.settings.sweep_seconds)


async def _swept(sweeping: Awaitable[None]) -> None:
    """Waits for it; whatever goes wrong is logged: without sweeping no job would ever be gone on with."""
    try:
        await sweeping
    except Problem:  # a store that does not answer now
        return
    except Exception as error:
        LOG.error(json.dumps({"fault": type(error).__name__, "at": "sweep"}))


async def _say_problem(_: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    headers = dict(error.headers)
    if error.status in (408, 413):  # the rest of the body may be coming
        headers["Connection"] = "close"
    return Response(error.body, error.status, headers=headers, media_type=MEDIA_TYPE)


async def _say_invalid(request: Request, error: Exception) -> Response:
    """The first of the arguments that make no sense."""
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    where = str(first["loc"][-1]) if first["loc"] else "request"
    return await _say_problem(request, bad_request(show_name(f"{where}: {first['msg']}")))


async def _say_http(request: Request, error: Exception) -> Response:
    """What the framework refuses, said as everything else is."""
    assert isinstance(error, HTTPException)
    kinds = {404: "not-found", 405: "no-such-method", 413: "too-large", 415: "wrong-type"}
    problem = Problem(error.status_code, kinds.get(error.status_code, "bad-request"), show_name(str(error.detail)))
    return await _say_problem(request, problem)
