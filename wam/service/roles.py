"""Who may do what. A route that the table does not name is nobody's: everything is denied that is not allowed."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class Role(StrEnum):
    """What a caller is; without a key everybody is anonymous."""

    ANONYMOUS = "anonymous"
    MARKER = "marker"
    AUDITOR = "auditor"
    ADMIN = "admin"


class View(StrEnum):
    """How much of a result is shown: public says whose mark it is, partner which asset as well, staff all."""

    PUBLIC = "public"
    PARTNER = "partner"
    STAFF = "staff"


EVERYBODY = frozenset(Role)
WITH_A_KEY = EVERYBODY - {Role.ANONYMOUS}
MARKERS = frozenset({Role.MARKER, Role.ADMIN})
AUDITORS = frozenset({Role.AUDITOR, Role.ADMIN})
ADMINS = frozenset({Role.ADMIN})

# by the name of a route, which is that of its handler
ALLOWED: Mapping[str, frozenset[Role]] = {
    "page": EVERYBODY,
    "page_style": EVERYBODY,
    "page_script": EVERYBODY,
    "page_texts": EVERYBODY,
    "page_icon": EVERYBODY,
    "openapi": EVERYBODY,
    "healthz": EVERYBODY,
    "readyz": EVERYBODY,
    "metrics": AUDITORS,
    "about": EVERYBODY,
    "detect": EVERYBODY,
    "detect_url": EVERYBODY,
    "result_file": EVERYBODY,
    "embed": MARKERS,
    "list_records": AUDITORS,
    "show_record": AUDITORS,
    "withdraw_record": ADMINS,
    "start_job": WITH_A_KEY,
    "start_marking_job": MARKERS,
    "show_job": WITH_A_KEY,
    "job_results": WITH_A_KEY,
    "job_files": WITH_A_KEY,
    "end_job": WITH_A_KEY,
    "match_value": EVERYBODY,
    "match_binding": EVERYBODY,
    "match_content": EVERYBODY,
    "match_reference": EVERYBODY,
    "fetch_manifest": EVERYBODY,
    "show_receipt": EVERYBODY,
    "check_receipt": EVERYBODY,
    "supported_algorithms": EVERYBODY,
    "capabilities": EVERYBODY,
    "binding_status": EVERYBODY,
    "well_known": EVERYBODY,
    "issue_token": EVERYBODY,
    "token_metadata": EVERYBODY,
    "store_manifest": MARKERS,
    "store_binding": MARKERS,
    "replace_binding": MARKERS,
    "delete_manifest": ADMINS,
}

WIDEST: Mapping[Role, View] = {
    Role.ANONYMOUS: View.PUBLIC,
    Role.MARKER: View.PARTNER,
    Role.AUDITOR: View.STAFF,
    Role.ADMIN: View.STAFF,
}
_ORDER = tuple(View)


def may(role: Role, route: str | None) -> bool:
    """Whether a role may use a route.

    >>> may(Role.MARKER, "embed"), may(Role.ANONYMOUS, "embed"), may(Role.ADMIN, "a route nobody thought of")
    (True, False, False)
    """
    return route is not None and role in ALLOWED.get(route, frozenset())


def view_of(role: Role, *, public: View, asked: View | None = None) -> View:
    """What a caller is shown: what the role may see, at least what the deployment shows everybody, and no more than
    was ``asked`` for.

    >>> str(view_of(Role.ADMIN, public=View.PUBLIC)), str(view_of(Role.ADMIN, public=View.PUBLIC, asked=View.PARTNER))
    ('staff', 'partner')
    >>> str(view_of(Role.ANONYMOUS, public=View.PUBLIC, asked=View.STAFF))
    'public'
    """
    widest = max(WIDEST[role], public, key=_ORDER.index)
    return widest if asked is None else min(widest, asked, key=_ORDER.index)
