"""``wam model``."""

from __future__ import annotations

from tests.wam.cli.commands import Run, error_line, objects
from wam.detection.config import DEFAULT_SEARCH
from wam.models import catalogue


class TestModel:
    def test_info(self, run: Run) -> None:
        (found,) = objects(run("model", "info", "--json"))
        known = catalogue.KNOWN[catalogue.DEFAULT]
        assert found["sha256"] == known.sha256 and found["name"] == f"{catalogue.DEFAULT}@{known.sha256[:8]}"
        assert found["bytes"] == catalogue.shipped(known.file).stat().st_size
        assert (found["licence"], found["bits"]) == (known.licence, 32)
        assert known.sha256 in run("model", "info").stdout

    def test_info_tells_signal_and_search(self, run: Run) -> None:
        (found,) = objects(run("model", "info", "--json"))
        assert found["signal"] == "wam-lattice-1"
        assert found["calibration"]["search"] == DEFAULT_SEARCH.digest()
        assert found["same_as"] == [
            *("lattice32@a27ccc3c", "lattice32@5d36c822", "lattice32@b4f631c7"),
            *("lattice32-0.2@a27ccc3c", "lattice32@52b539d8"),
        ]
        shown = run("model", "info").stdout
        assert "wam-lattice-1" in shown and DEFAULT_SEARCH.digest() in shown and "lattice32@b4f631c7" in shown

    def test_list_tells_signal_and_size(self, run: Run) -> None:
        rows = {row["name"]: row for row in objects(run("model", "list", "--json"))}
        assert (rows[catalogue.DEFAULT]["signal"], rows[catalogue.DEFAULT]["size"]) == ("wam-lattice-1", "small")
        assert rows["wam_mit"]["signal"] is None and rows["wam_mit"]["size"] is None
        assert "wam-lattice-1, small, shipped, the default" in run("model", "list").stdout

    def test_a_missing_model(self, run: Run) -> None:
        result = run("model", "info", "--model", "none")
        assert result.exit_code == 2
        assert error_line(result).startswith("none: expected a model name")
