"""A slice of what ``scripts/service_fuzz.py`` sends: each damaged picture gets one clear answer."""

from __future__ import annotations

from itertools import islice

from scripts.service_fuzz import cases, fuzz, why_wrong
from tests.wam.service.served import Served, picture, upload


def test_damaged_pictures_of_every_kind_get_one_clear_answer_each(served: Served) -> None:
    outcome = fuzz(served.url, 150, seed=20261127)
    assert outcome.wrong == [] and sum(outcome.statuses.values()) == 150
    assert outcome.statuses[422] > 30 and outcome.statuses[200] > 10  # neither all harmless nor all hopeless
    assert served.anyone.post("/v1/detect", **upload(picture())).status_code == 200


def test_the_same_seed_is_the_same_files() -> None:
    first, second, other = (list(islice(cases(10, seed), 10)) for seed in (1, 1, 2))
    assert first == second != other


def test_a_wrong_answer_is_known() -> None:
    problem = b'{"type": "t", "title": "t", "status": 422, "detail": "%s", "error": "e"}'
    kind = "application/problem+json"
    assert why_wrong(500, kind, problem % b"x") == "status 500"
    assert why_wrong(200, "application/json", b"<html>") == "no JSON"
    assert why_wrong(200, "application/json", b"{}") == "not the contract's object"
    assert why_wrong(422, "text/plain", problem % b"x") == "no problem+json"
    assert why_wrong(422, kind, problem % b"a\\nb") == "no single clear line"
    assert why_wrong(422, kind, problem % b"in.png: expected one, found one that ended its readers") is not None
    assert why_wrong(422, kind, problem % b"in.png: expected a PNG, found none, convert it") is None
