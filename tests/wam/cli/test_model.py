"""``wam model``."""

from __future__ import annotations

from tests.wam.cli.commands import Run, error_line, objects
from wam.models import zoo


class TestModel:
    def test_info(self, run: Run) -> None:
        (found,) = objects(run("model", "info", "--json"))
        known = zoo.KNOWN[zoo.DEFAULT]
        assert found["sha256"] == known.sha256 and found["name"] == f"{zoo.DEFAULT}@{known.sha256[:8]}"
        assert found["bytes"] == zoo.shipped(known.file).stat().st_size
        assert (found["licence"], found["bits"]) == (known.licence, 32)
        assert known.sha256 in run("model", "info").stdout

    def test_a_missing_model(self, run: Run) -> None:
        result = run("model", "info", "--model", "none")
        assert result.exit_code == 2
        assert error_line(result).startswith("none: expected a model name")
