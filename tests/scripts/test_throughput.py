"""The throughput script: its photos, its arithmetic, and a trial run."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

import wam
from payload.registry import Registry
from scripts import throughput
from scripts.throughput import LAYERS, MIB, Bare, Watched, figures, make_photos, memory

ROOT = Path(throughput.__file__).parents[1]


def test_photos_are_of_1_to_2_megapixels_and_no_two_alike(tmp_path: Path) -> None:
    make_photos(tmp_path, 5, sorted(throughput.SAMPLES.glob("*.jpg"))[:2])
    made = sorted(tmp_path.iterdir())
    sizes = []
    for path in made:
        with Image.open(path) as photo:
            sizes.append(photo.width * photo.height)
    assert sizes != sorted(sizes)
    assert sorted(sizes) == pytest.approx([1e6, 1.25e6, 1.5e6, 1.75e6, 2e6], rel=0.01)
    assert len({path.read_bytes() for path in made}) == 5


def test_memory_that_grows_is_told_from_memory_that_does_not() -> None:
    times = [0.5 * step for step in range(121)]
    flat = memory(Watched(times, [MIB * min(700, 100 + 50 * step) for step in range(121)]))
    assert flat == {"peak_mib": 700, "mib_per_minute": pytest.approx(0, abs=1e-6), "growth": pytest.approx(0, abs=1e-6)}
    growing = memory(Watched(times, [MIB * (100 + 2 * step) for step in range(121)]))
    assert growing["mib_per_minute"] == pytest.approx(240)
    assert growing["growth"] == pytest.approx(120 / 280, rel=1e-6)


def test_efficiency_is_of_cpu_seconds_with_the_start_and_without_the_figures_of_quality() -> None:
    watched = Watched([0, 1], [MIB, MIB], {"1": 8_000_000_000, "2": 6_000_000_000}, wall=10, cpu=10)
    found = figures(20, 2, {"mark": 0.4, "detect": 1.3, LAYERS: 0.8}, 4, 2.0, watched)
    assert found["bare_ms"] == {"mark": 100, "detect": 325}
    assert (found["command_ms"], found["layers_ms"]) == (pytest.approx(500), pytest.approx(200))
    assert found["efficiency"] == pytest.approx(0.85)
    assert (found["busy"], found["busy_or_waiting"]) == (pytest.approx(0.5), pytest.approx(0.7))


def test_a_photo_that_fails_is_counted_and_a_command_that_fails_ends_the_measurement(tmp_path: Path) -> None:
    Image.new("RGB", (40, 40)).save(tmp_path / "black.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    Registry.open(str(tmp_path / "registry.sqlite"))
    watched = throughput.run_command("detect", tmp_path, "--registry", tmp_path / "registry.sqlite", workers=1)
    assert watched.failed == 2 and watched.cpu > 0 < watched.wall
    with pytest.raises(subprocess.CalledProcessError):
        throughput.run_command("detect", tmp_path, "--registry", tmp_path / "none.sqlite", workers=1)


def test_layers_are_part_of_the_steps() -> None:
    bare = Bare(wam.load(device="cpu"))
    steps = bare.embed([throughput.SAMPLES / "dune.jpg"])
    assert set(steps) == {"decode", "mark", "encode", "read back", "detect", LAYERS}
    assert 0 < steps[LAYERS] < steps["mark"] + steps["detect"]
    assert set(bare.detect([throughput.SAMPLES / "dune.jpg"])) == {"decode", "detect", LAYERS}


@pytest.mark.slow
def test_a_trial_run(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/throughput.py", "--count", "3", "--json", str(tmp_path / "found.json")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found) == {"embed", "detect"}
    for one in found.values():
        assert (one["photos"], one["failed"]) == (3, 0) and one["memory"]["peak_mib"] > 100
        assert one["command_ms"] > one["bare_sum_ms"] > one["layers_ms"] > 0
    assert done.stdout.count("efficiency") == done.stdout.count("memory: peak") == 2
