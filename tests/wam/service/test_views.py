"""What of one result the public, a partner and the staff are shown."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from payload import encode, read_word
from tests.wam.cli.commands import check_contract
from tests.wam.pipeline.test_judge import detection
from tests.wam.service.served import Served, picture, upload
from tests.wam.synthetic import varied_picture
from wam.pipeline.chance import LEAST, show_chance
from wam.pipeline.contract import detect_object
from wam.pipeline.look_up import Reading
from wam.pipeline.read import Findings
from wam.pipeline.registered_words import RegisteredWords
from wam.provenance.manifest_state import ManifestState, State
from wam.service.roles import Role, View
from wam.service.views import served as served_as

SECRETS = ("asset-77", "user-88")
EXTRA = ("view", "marked_by", "overlay", "masks")


@pytest.fixture(scope="module")
def marked(served: Served) -> bytes:
    form = upload(picture(seed=1), asset="asset-77", owner="acme", user="user-88", label="true")
    answer = served[Role.MARKER].post("/v1/embed", **form)
    assert answer.status_code == 200, answer.text
    return answer.content


def shown(served: Served, content: bytes, role: Role) -> dict[str, Any]:
    said = served[role].post("/v1/detect", **upload(content)).json()
    plain = {key: value for key, value in said.items() if key not in EXTRA}
    plain["watermarks"] = [
        {key: value for key, value in mark.items() if key not in EXTRA} for mark in said["watermarks"]
    ]
    check_contract(plain)  # what is not shown is null, so that readers of the contract read every view
    assert isinstance(said, dict)
    return said


def test_the_public_is_told_the_owner_and_nothing_personal(served: Served, marked: bytes) -> None:
    said = shown(served, marked, Role.ANONYMOUS)
    (mark,) = said["watermarks"]
    assert (mark["status"], mark["marked_by"], said["view"]) == ("verified", "acme", "public")
    assert not any(secret in json.dumps(said) for secret in SECRETS)
    assert {mark[key] for key in ("record", "link", "message", "bits", "corrected")} == {None}
    assert mark["bit_confidence"] is None
    about = served.anyone.get("/v1/about").json()
    assert mark["log10_p"] == about["chance_log10"] == LEAST  # no smaller than what was tested, in numbers and in words
    assert show_chance(mark["log10_p"]) == f"{about['chance_shown']}, tested"
    assert mark["region"]["area"] > 0.5
    assert said["label"]["value"] == "1" and said["label"]["produce_id"] is None
    assert served.house.registry.name not in json.dumps(said)  # nor where records are


def test_a_partner_is_told_the_asset_and_not_the_user(served: Served, marked: bytes) -> None:
    (mark,) = shown(served, marked, Role.MARKER)["watermarks"]
    assert (mark["record"]["asset"], mark["record"]["user"]) == ("asset-77", None)
    assert mark["link"].startswith("wm:") and mark["registry"] is None


def test_staff_are_told_all(served: Served, marked: bytes) -> None:
    said = shown(served, marked, Role.AUDITOR)
    (mark,) = said["watermarks"]
    assert (mark["record"]["user"], mark["marked_by"]) == ("user-88", "acme")
    assert len(mark["bits"]) == 32 and mark["log10_p"] < -4 and said["label"]["produce_id"]
    assert mark["registry"] == served.house.registry.name


@pytest.mark.parametrize(("view", "told"), [(View.PUBLIC, False), (View.PARTNER, True), (View.STAFF, True)])
def test_the_public_is_not_told_that_too_much_was_subtracted(view: View, told: bool) -> None:
    mark = detection((10, 10, 50, 50), 40)
    mark = replace(mark, pose=replace(mark.pose, negative=True))
    reading = Reading(mark, read_word(mark.logits, None, presence_log10_p=-40.0), None, None)
    found = detect_object(Findings(400, 400, (reading,)), image="a", model="m")
    assert ("negative" in json.dumps(served_as(found, view))) == told
    assert found["watermarks"][0]["pose"]["negative"] is True  # the result itself stays whole


@pytest.mark.parametrize(("view", "prompt"), [(View.PUBLIC, None), (View.PARTNER, "Anna"), (View.STAFF, "Anna")])
def test_a_prompt_in_a_manifest_is_not_for_the_public(view: View, prompt: str | None) -> None:
    said = (("ai_system", "Painter"), ("ai_prompt", "Anna"), ("ai_prompt_writer", "Anna"))
    found = Findings(9, 9, (), credentials=ManifestState("valid", metadata=said))
    credentials = served_as(detect_object(found, image="a", model="m"), view)["credentials"]
    assert credentials is not None and credentials["metadata"]["ai_system"] == "Painter"
    assert {credentials["metadata"].get(name) for name in ("ai_prompt", "ai_prompt_writer")} == {prompt}


@pytest.mark.parametrize(("state", "view", "told"), [
    ("unread", View.PUBLIC, []), ("unread", View.PARTNER, []), ("unread", View.STAFF, ["/etc/roots.pem: x"]),
    ("broken", View.PUBLIC, ["/etc/roots.pem: x"]),
])  # fmt: skip
def test_why_manifests_are_not_read_is_for_staff(state: State, view: View, told: list[str]) -> None:
    found = Findings(9, 9, (), credentials=ManifestState(state, problems=("/etc/roots.pem: x",)))
    credentials = served_as(detect_object(found, image="a", model="m"), view)["credentials"]
    assert credentials is not None and credentials["problems"] == told


def test_a_mark_without_a_record_is_nobody_s(served: Served, marked: bytes) -> None:
    link = served[Role.AUDITOR].get("/v1/records", params={"asset": "asset-77"}).json()["records"][0]["link"]
    form = upload(picture(seed=3), asset="other", owner="acme")
    other = served[Role.MARKER].post("/v1/embed", **form)
    taken_back = other.headers["wam-link"]
    assert taken_back != link
    assert served[Role.ADMIN].post(f"/v1/records/{taken_back}/withdraw").json()["state"] == "withdrawn"
    (mark,) = shown(served, other.content, Role.ANONYMOUS)["watermarks"]
    assert (mark["status"], mark["marked_by"]) == ("withdrawn", None)


def test_a_record_that_anyone_can_have_written_names_nobody(served: Served) -> None:
    form = upload(picture(seed=4, size=(600, 800)), asset="4", owner="somebody", mode="record", psnr="34")
    marked = served[Role.MARKER].post("/v1/embed", **form)
    (mark,) = shown(served, marked.content, Role.ANONYMOUS)["watermarks"]
    assert (mark["status"], mark["marked_by"], mark["record"]) == ("unverified", None, None)
    (mark,) = shown(served, marked.content, Role.AUDITOR)["watermarks"]
    assert (mark["marked_by"], mark["record"]["owner"]) == (None, "somebody")


def test_only_staff_are_shown_what_looks_alike(served: Served) -> None:
    stream = io.BytesIO()
    Image.fromarray(varied_picture(seed=9)).save(stream, "PNG")
    source = stream.getvalue()
    form = {"files": {"file": ("p.png", source)}, "data": {"asset": "asset-9", "owner": "acme", "user": "user-9"}}
    link = served[Role.MARKER].post("/v1/embed", **form).headers["Wam-Link"]
    for role in (Role.ANONYMOUS, Role.MARKER):
        refused = served[role].post("/v1/detect?similar=3&view=staff", **upload(source))
        assert refused.status_code == 403 and "asset-9" not in refused.text and "user-9" not in refused.text
    assert served[Role.AUDITOR].post("/v1/detect?similar=3&view=public", **upload(source)).status_code == 403
    said = served[Role.AUDITOR].post("/v1/detect?similar=3", **upload(source)).json()
    assert said["watermarks"] == [] and [one["link"] for one in said["similar"]["pictures"]] == [link]
    assert said["similar"]["pictures"][0]["record"]["user"] == "user-9"
    assert "similar" not in served[Role.AUDITOR].post("/v1/detect", **upload(source)).json()
    assert served[Role.AUDITOR].post("/v1/detect?similar=101", **upload(source)).status_code in (400, 422)


def test_only_staff_are_shown_what_a_mark_could_be(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    streams = io.BytesIO(), io.BytesIO()
    source, other = varied_picture(seed=21), varied_picture(seed=22)
    Image.fromarray(source).save(streams[0], "PNG")
    form = {"files": {"file": ("p.png", streams[0].getvalue())}, "data": {"asset": "asset-21", "owner": "acme"}}
    answer = served[Role.MARKER].post("/v1/embed", **form)
    residual = np.asarray(Image.open(io.BytesIO(answer.content)), int) - source
    Image.fromarray((other + residual).clip(0, 255).astype(np.uint8)).save(streams[1], "PNG")
    moved = streams[1].getvalue()
    many, get = encode(np.arange(100_000, dtype=np.uint32)), RegisteredWords.get
    monkeypatch.setattr(RegisteredWords, "get", lambda words, **how: np.union1d(get(words, **how), many))
    for role in (Role.ANONYMOUS, Role.MARKER):
        refused = served[role].post("/v1/detect?candidates=true&view=staff", **upload(moved))
        assert refused.status_code == 403 and "asset-21" not in refused.text
    for role in (Role.ANONYMOUS, Role.MARKER, Role.AUDITOR):
        said = served[role].post("/v1/detect", **upload(moved)).json()
        assert said["watermarks"][0]["status"] == "unregistered" and "asset-21" not in json.dumps(said)
    said = served[Role.AUDITOR].post("/v1/detect?candidates=true", **upload(moved)).json()
    (one,) = said["watermarks"][0]["candidates"]
    assert (one["link"], one["record"]["asset"]) == (answer.headers["Wam-Link"], "asset-21")
    assert "candidates" not in served_as(said, View.PARTNER)["watermarks"][0]
