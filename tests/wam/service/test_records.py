"""Records over HTTP."""

from __future__ import annotations

import pytest

from tests.wam.service.served import Served, picture, upload
from wam.service.roles import Role


def test_records_are_listed_shown_and_withdrawn(served: Served) -> None:
    links = [
        served[Role.ADMIN]
        .post("/v1/embed", **upload(picture(seed=n), asset=f"r{n}", owner="records"))
        .headers["wam-link"]
        for n in (31, 32, 33)
    ]
    auditor = served[Role.AUDITOR]
    found = auditor.get("/v1/records", params={"owner": "records"}).json()
    assert [one["link"] for one in found["records"]] == links and found["more"] is False
    some = auditor.get("/v1/records", params={"owner": "records", "limit": "2"}).json()
    assert len(some["records"]) == 2 and some["more"] is True
    assert auditor.get("/v1/records", params={"asset": "r32"}).json()["records"][0]["link"] == links[1]

    assert auditor.post(f"/v1/records/{links[0]}/withdraw").status_code == 403
    admin = served[Role.ADMIN]
    assert admin.post(f"/v1/records/{links[0]}/withdraw").json()["state"] == "withdrawn"
    assert auditor.get(f"/v1/records/{links[0].lower()}").json()["state"] == "withdrawn"
    again = admin.post(f"/v1/records/{links[0]}/withdraw")
    assert again.status_code == 409 and "found it withdrawn" in again.json()["detail"]
    since = auditor.get("/v1/records", params={"since": "2100-01-01T00:00:00Z"}).json()
    assert since == {"records": [], "more": False}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/records/wm:3ZT3-GTKS", 404),
        ("/v1/records/nonsense", 400),
        ("/v1/records/%00", 400),
        ("/v1/records?state=lost", 400),
        ("/v1/records?since=tomorrow", 400),
        ("/v1/records?limit=0", 400),
        ("/v1/records?asset=%00", 400),
        ("/v1/records?owner=" + "x" * 300, 400),
    ],
)
def test_what_is_not_there_or_makes_no_sense_is_a_problem(served: Served, path: str, status: int) -> None:
    answer = served[Role.AUDITOR].get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert served.house.registry.name not in answer.text  # where it lies is nobody's business
