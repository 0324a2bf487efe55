"""Cost lines: what is measured, here on small pictures, and what a failure becomes."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from wam.bench.cost import ARCHITECTURE, CostLine, Measurement, measure, measurements, run_here
from wam.models import zoo
from wam.models.catalogue import DEFAULT


def test_the_full_grid_has_every_size_batch_and_subject() -> None:
    grid = list(measurements("lattice32", "cpu", full=True))
    assert {(one.side, one.batch) for one in grid} == {(s, b) for s in (256, 1024, 4096) for b in (1, 8)}
    assert {(one.subject, one.action) for one in grid} == {
        ("lattice32", "embed"), ("lattice32", "detect"), ("lattice32", "detect unmarked"), ("lattice32", "extract"),
        (ARCHITECTURE, "embed"), (ARCHITECTURE, "extract"),
    }  # fmt: skip
    assert {one.side for one in measurements("lattice32", "cpu", full=False)} == {256, 1024}


@pytest.mark.parametrize("own", ["bf16", "fp32"])
def test_networks_alone_are_measured_in_fp32_as_well(monkeypatch: pytest.MonkeyPatch, own: str) -> None:
    monkeypatch.setattr(zoo, "default_precision", lambda model, device: own)
    grid = list(measurements("lattice32", "cpu", full=False))
    assert {one.precision for one in grid if one.subject == "lattice32" and one.action != "extract"} == {own}
    for subject in ("lattice32", ARCHITECTURE):
        alone = [one.precision for one in grid if (one.subject, one.action, one.side) == (subject, "extract", 256)]
        assert sorted(alone) == sorted({own, "fp32"})
    assert len({str(CostLine(**vars(one), images_per_second=1.0, peak_mb=1.0)) for one in no_device(grid)}) == len(grid)


def no_device(grid: list[Measurement]) -> list[SimpleNamespace]:
    """Measurements without their device, which all share."""
    return [SimpleNamespace(**{name: value for name, value in vars(one).items() if name != "device"}) for one in grid]


@pytest.mark.parametrize("action", ["embed", "detect", "extract"])
def test_speed_and_memory_are_plausible(action: str) -> None:
    speed, megabytes = run_here(Measurement("lattice32", action, 64, 2, "cpu"))
    assert 0.1 < speed < 10_000 and megabytes is not None and 100 < megabytes < 100_000


def test_memory_is_unknown_where_the_system_does_not_tell_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resource", None)
    assert run_here(Measurement("lattice32", "embed", 64, 1, "cpu"))[1] is None


@pytest.mark.slow
def test_wam_s_architecture_is_measured_in_its_own_process() -> None:
    line = measure(Measurement(ARCHITECTURE, "extract", 256, 1, "cpu"))
    assert line.error is None and line.images_per_second and line.peak_mb
    assert line.peak_mb > 93e6 * 4 / 2**20  # its 93 million weights alone


def test_a_measurement_that_fails_is_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    line = measure(Measurement("lattice32", "embed", 256, 1, "cpu"))
    assert line == CostLine("lattice32", "embed", 256, 1, "fp32", None, None, "ended with 1")


def test_modules_of_that_name_where_one_works_are_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "payload.py").write_text("raise SystemExit('the wrong payload')\n")
    monkeypatch.chdir(tmp_path)
    line = measure(Measurement(DEFAULT, "extract", 64, 1, "cpu"))
    assert line.error is None and line.images_per_second
