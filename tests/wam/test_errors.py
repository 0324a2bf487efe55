"""Errors: one base for all, and names as one printable line."""

from __future__ import annotations

import pytest

from wam.errors import ImageError, ModelError, WamError, show_name


@pytest.mark.parametrize("error", [ImageError, ModelError])
def test_errors_are_catchable_as_one(error: type[Exception]) -> None:
    assert issubclass(error, WamError)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("plain é 照片.png", "plain é 照片.png"), ("a\tb\r", "a\\tb\\r"), ("\u202egnp", "\\u202egnp")],
)
def test_show_name(name: str, shown: str) -> None:
    assert show_name(name) == shown
