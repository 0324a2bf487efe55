"""How often Python looks for garbage while a command starts."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest
from typer.testing import CliRunner

from tests.wam.cli.commands import MARK
from wam.cli import app
from wam.cli.garbage import collect_as_usual, collect_rarely
from wam.service import client, server


def test_it_looks_less_often_only_until_the_model_is_there() -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        collect_as_usual(keep=True)  # nothing was begun: a process with many commands keeps nothing
        assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, frozen)
        collect_rarely()
        assert gc.get_threshold() > usual
        collect_as_usual()
        assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, frozen)
        collect_rarely()
        collect_as_usual(keep=True)
        assert gc.get_threshold() == usual and gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)


@pytest.mark.parametrize("command", ["serve", "embed"])
def test_what_loads_no_model_and_goes_on_for_long_looks_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    usual, seen = gc.get_threshold(), []

    def note(*_: object, **__: object) -> None:
        seen.append(gc.get_threshold())
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "build", lambda *_, **__: None)
    monkeypatch.setattr(server, "run", note)
    monkeypatch.setattr(client, "Client", note)
    (tmp_path / "in.png").touch()
    places = [f"--registry={tmp_path / 'r.sqlite'}", f"--api-keys={tmp_path / 'keys'}", "--workers=1", "--device=cpu"]
    more = {"serve": places, "embed": [str(tmp_path / "in.png"), *MARK, "--server=http://127.0.0.1:1"]}
    try:
        collect_rarely()
        CliRunner().invoke(app, [command, *more[command]])
        assert seen == [usual]
    finally:
        collect_as_usual()
        gc.unfreeze()
