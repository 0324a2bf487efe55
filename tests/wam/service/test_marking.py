"""Marking over HTTP: what comes back is what was registered, and what fails costs no id."""

from __future__ import annotations

import email.parser
import email.policy
import io
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from PIL import Image

from tests.wam.cli.commands import check_contract
from tests.wam.service.served import Served, picture, upload
from wam.service.roles import Role


def embed(served: Served, content: bytes, role: Role = Role.MARKER, **fields: str) -> httpx.Response:
    return served[role].post("/v1/embed", **upload(content, "in.png", **fields))


def test_a_marked_picture_comes_back_with_its_link(served: Served) -> None:
    answer = embed(served, picture(seed=5), asset="5", owner="acme", user="u", time="2026-01-02T03:04:05Z")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert "in.wm.png" in answer.headers["content-disposition"]
    entry = served[Role.AUDITOR].get(f"/v1/records/{answer.headers['wam-link']}").json()
    assert entry["state"] == "marked" and entry["phash"]
    assert entry["record"] == {"asset": "5", "owner": "acme", "user": "u", "ingested_at": "2026-01-02T03:04:05Z"}
    (mark,) = served[Role.AUDITOR].post("/v1/detect", **upload(answer.content)).json()["watermarks"]
    assert (mark["link"], mark["record"]) == (entry["link"], entry["record"])


def test_who_accepts_both_gets_the_object_of_the_command_line_too(served: Served) -> None:
    form = upload(picture(seed=6), "b.png", asset="6", owner="acme", format="webp")
    answer = served[Role.MARKER].post("/v1/embed", **form, headers={"Accept": "multipart/mixed"})
    head = f"Content-Type: {answer.headers['content-type']}\r\n\r\n".encode()
    message = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + answer.content)
    said, file = message.iter_parts()  # type: ignore[attr-defined]
    values = json.loads(said.get_content())
    check_contract(values)
    assert (values["link"], values["output"]) == (answer.headers["wam-link"], "b.wm.webp")
    assert file.get_content_type() == "image/webp"
    assert Image.open(io.BytesIO(file.get_payload(decode=True))).format == "WEBP"


def test_a_record_in_the_pixels_needs_no_link(served: Served) -> None:
    before = len(served.house.registry.words())
    answer = embed(served, picture(seed=7, size=(600, 800)), asset="7", owner="acme", mode="record", psnr="34")
    assert answer.status_code == 200, answer.text
    assert "wam-link" not in answer.headers and len(served.house.registry.words()) == before


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "asset: expected text that is not blank"),
        ({"asset": "1"}, 400, "owner: expected text that is not blank"),
        ({"asset": "1", "owner": "a", "psnr": "5"}, 400, "psnr: expected 30 to 55 dB, found 5"),
        ({"asset": "1", "owner": "a", "strength": "loud"}, 400, "strength: expected one of gentle"),
        ({"asset": "1", "owner": "a", "quality": "inf"}, 400, ""),
        ({"asset": "1", "owner": "a", "quality": "101"}, 400, "quality: expected 1 to 100, found 101"),
        ({"asset": "1", "owner": "a", "time": "yesterday"}, 400, "time: expected RFC 3339"),
        ({"asset": "1", "owner": "a", "mode": "both"}, 400, "mode: expected link or record, found both"),
        ({"asset": "1", "owner": "a", "label": "maybe"}, 400, "label: expected true or false"),
        ({"asset": "1", "owner": "a", "colour": "red"}, 400, "form: expected asset, owner"),
        ({"asset": "1", "owner": "a", "format": "../x"}, 400, "format: expected an extension"),
        ({"asset": "1", "owner": "a", "format": "doc"}, 422, "in.doc: expected"),
        ({"asset": "x" * 5000, "owner": "a"}, 400, "form: expected one that can be read"),
    ],
)
def test_what_makes_no_sense_is_one_clear_line_and_costs_no_id(
    served: Served, fields: dict[str, str], status: int, said: str
) -> None:
    in_use = len(served.house.registry.words())
    answer = embed(served, picture(), **fields)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert said in answer.json()["detail"] and "\n" not in answer.json()["detail"]
    assert len(served.house.registry.words()) == in_use


@pytest.mark.parametrize("content", [b"", b"no picture", picture(size=(20, 20)), picture()[:300]])
def test_what_cannot_be_marked_gives_its_id_up(served: Served, content: bytes) -> None:
    in_use = len(served.house.registry.words())
    answer = embed(served, content, asset="1", owner="acme")
    assert answer.status_code == 422 and answer.json()["detail"].startswith("in.png: expected")
    assert len(served.house.registry.words()) == in_use


def test_a_key_for_one_owner_writes_no_other_s_records(served: Served) -> None:
    key, _ = served.keys.new("shop", Role.MARKER, owner="acme")
    headers = {"Authorization": f"Bearer {key}"}
    own = served.anyone.post("/v1/embed", **upload(picture(seed=8), asset="8"), headers=headers)
    assert own.status_code == 200
    other = served.anyone.post("/v1/embed", **upload(picture(seed=8), asset="8", owner="else"), headers=headers)
    assert other.status_code == 403 and "owner: expected the one" in other.json()["detail"]


def test_many_at_once_get_a_link_each(served: Served) -> None:
    def one(number: int) -> Any:
        return embed(served, picture(seed=20 + number), asset=f"many-{number}", owner="acme")

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(one, range(6)))
    links = {answer.headers["wam-link"] for answer in answers}
    assert len(links) == 6
    for number, answer in enumerate(answers):
        entry = served[Role.AUDITOR].get(f"/v1/records/{answer.headers['wam-link']}").json()
        assert entry["record"]["asset"] == f"many-{number}"


def test_a_record_that_has_no_room_is_the_picture_s_problem(served: Served) -> None:
    answer = embed(served, picture(size=(64, 64)), asset="1", owner="acme", mode="record")
    assert answer.status_code == 422 and answer.json()["detail"].startswith("in.png: ")
