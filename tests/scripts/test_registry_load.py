"""The load script: its records, its arithmetic, and a trial run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from payload.registry import Registry
from scripts import registry_load
from scripts.registry_load import confirm, look_up, main, milliseconds, record, reserve, shares


def test_writers_share_all_numbers_and_no_two_the_same() -> None:
    found = shares(1003, 8)
    assert [number for share in found for number in share] == list(range(1003))
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_what_a_writer_reserves_and_confirms_is_there(tmp_path: Path) -> None:
    url = str(tmp_path / "registry.sqlite")
    marks = reserve(url, range(5, 12), 3)
    registry = Registry.open(url, create=False)
    assert [entry.record for entry in registry.entries()] == [record(number) for number in range(5, 12)]
    assert marks == [(0, entry.word) for entry in registry.entries()]
    assert confirm(url, marks[:2]) == 2 and registry.counts() == {"pending": 5, "marked": 2}


def test_times_are_of_each_call() -> None:
    mean, last, busy = milliseconds(lambda number: sum(range(number)), [100_000] * 20)
    assert 0 < mean <= last and busy > 0


def test_a_registry_that_holds_something_is_refused(tmp_path: Path) -> None:
    url = str(tmp_path / "registry.sqlite")
    Registry.open(url).allocate(record(0))
    with pytest.raises(SystemExit, match="expected a new registry, found records"):
        main(["--count", "10", "--registry", url])
    with pytest.raises(SystemExit):
        main(["--count", "100000000"])
    with pytest.raises(SystemExit):
        main(["--count", "3000000", "--fingerprints"])


def test_labelled_words_are_looked_up_in_their_generations(tmp_path: Path) -> None:
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    registry.give("labelled")
    for numbers in (range(3), range(3, 7)):
        assert len(reserve(registry.name, numbers, 5)) == len(numbers)
        registry.open_generation()
    reserve(registry.name, range(7, 10), 5)
    found = look_up(registry, 10)
    assert found["words"] == 10 and found["generations"] == 3 and found["find_ms"][0] > 0


def test_fingerprints_are_looked_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--fingerprints", "--count", "300", "--json", str(tmp_path / "found.json")])
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["count"] == 300 and found["bytes"] > 300 * 300
    assert found["upright_ms"][0] > 0 and found["all_ms"][0] > 0 and found["confirmed_with"] > 0
    assert capsys.readouterr().out.startswith("300 fingerprints, imported in ")


@pytest.mark.slow
def test_a_trial_run(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/registry_load.py", "--count", "1000", "--writers", "2"]
    command += ["--labelled", "--json", str(tmp_path / "found.json")]
    root = Path(registry_load.__file__).parents[1]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["words"] == found["count"] == 1000 and found["audit"]["problem"] is None
    assert set(found["commands"]) == {"init", "stats", "list", "list --user", "export", "import"}
    assert found["generations"] == 1 and "1,000 records" in done.stdout
