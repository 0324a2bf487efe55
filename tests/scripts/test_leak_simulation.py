"""Copies of one picture for many, leaked and traced: a dozen here, 200 with ``-m slow``."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import pytest
from PIL import Image

from payload.registry import Registry
from scripts import leak_simulation
from wam.studio import Studio


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    place = str(tmp_path_factory.mktemp("leaks") / "registry.sqlite")
    Registry.open(place)  # for whoever reads before anything was marked
    return Studio(place, device="cpu")


def photo(name: str) -> Image.Image:
    """A sample photo at half its size."""
    return Image.open(leak_simulation.SAMPLES / f"{name}.jpg").convert("RGB").reduce(2)


def a_leak_each(copies: list[bytes], names: list[str], other: Image.Image) -> Iterator[leak_simulation.Leak]:
    """Of the first copy the first kind of leak, of the second the second, and so on."""
    every = leak_simulation.leaks(copies, names, other, 0)
    for number in range(len(copies)):
        yield [*islice(every, 3)][number % 3]


@pytest.mark.slow
def test_a_dozen_leaks_are_traced_and_nobody_else_is_named(
    studio: Studio,
) -> None:
    names = [leak_simulation.who(number) for number in range(12)]
    copies = leak_simulation.copies_of(studio, leak_simulation.saved(photo("dune"), 90), names)
    outcomes = Counter[tuple[str, str]]()
    for leak in a_leak_each(copies, names, photo("dragonfly")):
        outcomes[leak.kind, leak_simulation.outcome(studio, leak)] += 1
    assert outcomes == {(kind, "traced"): 4 for kind in ("jpeg", "crop", "collage")}


def test_nobody_is_named_for_the_picture_itself(studio: Studio) -> None:
    leak = leak_simulation.Leak("none", frozenset(), leak_simulation.saved(photo("dune"), 90))
    assert leak_simulation.outcome(studio, leak) == "traced"  # to those who had it: nobody
    held = leak_simulation.Leak("none", frozenset({"somebody"}), leak_simulation.saved(photo("dune"), 90))
    assert leak_simulation.outcome(studio, held) == "missed"


@pytest.mark.slow
def test_leaks_of_200_recipients_are_traced(capsys: pytest.CaptureFixture[str]) -> None:
    leak_simulation.main([])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["leak"], row["of"]) for row in rows] == [("jpeg", 200), ("crop", 200), ("collage", 200)]
    assert all(row.get("traced") == 200 for row in rows), rows


def test_the_command_says_what_became_of_each_kind(capsys: pytest.CaptureFixture[str]) -> None:
    leak_simulation.main(["--reduce", "4", "--recipients", "0", "--separate", "2"])
    (row,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert row["recipients"] == 2 and row["together"] > 0
    assert row["ratio"] == pytest.approx(row["separate"] / row["together"], rel=0.05)
