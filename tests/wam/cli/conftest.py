"""Commands run in a folder and with a registry of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tests.wam.cli.commands import Run, draw
from tests.wam.synthetic import handmade_marker
from wam import watermarker
from wam.cli import app
from wam.models import catalogue


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in an empty folder, with a registry of its own and a light model in place of the default."""

    def light_load(model: str, *, device: str, keys: list[bytes | None], **options: Any) -> Any:
        return (
            handmade_marker(*keys) if model == catalogue.DEFAULT else load(model, device=device, keys=keys, **options)
        )

    load = watermarker.load
    monkeypatch.setattr(watermarker, "load", light_load)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    monkeypatch.delenv("WAM_KEY", raising=False)
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")

    def invoke(*arguments: str | Path, standard_input: bytes | None = None) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], input=standard_input)

    return invoke


@pytest.fixture
def photo(run: Run) -> Path:
    """``in.png`` in the working folder."""
    return draw("in.png")


@pytest.fixture
def certs(run: Run) -> None:
    """A test authority in the folder ``certs``."""
    assert run("c2pa", "test-certs", "certs").exit_code == 0
