"""The JSON of both commands: what ships is what the module says, and the tables of docs/json.md are made from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import wam
from scripts import contract_schema
from wam.pipeline import contract

ROOT = Path(wam.__file__).parents[1]
SHIPPED = json.loads(contract_schema.PLACE.read_text(encoding="utf-8"))


def test_the_schema_that_ships_is_the_modules() -> None:
    """After a change: python scripts/contract_schema.py"""
    assert contract_schema.schema() == SHIPPED


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(SHIPPED)


@pytest.mark.parametrize("kind", [contract.EmbedObject, contract.DetectObject, contract.WatermarkObject])
def test_the_page_has_the_tables(kind: type) -> None:
    """After a change: python scripts/contract_schema.py --table"""
    assert contract_schema.table(kind) in (ROOT / "docs" / "json.md").read_text(encoding="utf-8")


def unread(**other: Any) -> dict[str, Any]:
    return {**contract.detect_object(None, image="a.png", model="lattice32@00000000", error="a.png: no"), **other}


def test_an_object_is_held_against_it() -> None:
    jsonschema.validate(unread(), SHIPPED)


@pytest.mark.parametrize(
    "wrong", [{"schema": 2}, {"width": "12"}, {"watermarks": None}, {"watermarks": [{"status": "fine"}]}, {"error": 1}]
)
def test_what_is_not_agreed_is_noticed(wrong: dict[str, Any]) -> None:
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(unread(**wrong), SHIPPED)


def test_a_key_that_is_missing_is_noticed() -> None:
    values = unread()
    del values["schema"]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(values, SHIPPED)
