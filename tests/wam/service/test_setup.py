"""What serves does without torch; and how many workers there are, and where, decided without any GPU."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import wam
from payload.registry import Registry
from wam.errors import ModelError, WamError
from wam.service.pool import Pool
from wam.service.setup import Accelerators, Setup, accelerators, default_workers, gpu_of, names_of
from wam.watermarker import Watermarker

ROOT = Path(wam.__file__).parents[1]
PROGRAM = """
import sys
import wam.cli.serve, wam.service.server, wam.service.app
from wam.cli import common
from wam.service.api_keys import KeyStore
from wam.service.house import House
from wam.service.pool import Pool
from wam.service.server import config_of
from wam.service.settings import Settings
from wam.service.setup import Setup
from payload.registry import Registry

load = common.single_threaded(common.marker_loader("default", "cpu", [None]))
pool = Pool(Setup(load, sys.argv[1], 1, 1), 1, memory=1 << 40, short_pixels=1, recycle=1)
house = House(pool, Registry.open(sys.argv[1]), Settings())
config_of(house, KeyStore(sys.argv[2]), host="127.0.0.1", port=0).load()
house.folder.close()
print([name for name in ("torch", "scipy", "skimage") if name in sys.modules])
"""


def test_the_process_that_serves_imports_no_torch(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py", str(tmp_path / "registry.sqlite"), str(tmp_path / "keys.json")], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


@pytest.mark.parametrize(
    ("device", "gpus", "mps", "count"),
    [
        ("auto", 0, False, 6), ("auto", 1, False, 2), ("auto", 4, False, 4), ("auto", 0, True, 2), ("cpu", 4, True, 6),
        ("cuda", 3, False, 3), ("cuda", 0, False, 2), ("mps", 0, True, 2),
    ],
)  # fmt: skip
def test_there_is_one_worker_for_each_gpu_or_else_for_each_cpu_and_two_at_least(
    device: str, gpus: int, mps: bool, count: int
) -> None:
    found = Accelerators(tuple(map(str, range(gpus))), mps)
    assert default_workers(device, 6, found) == count
    assert default_workers("cpu", 0, found) == 2


def test_each_gpu_has_its_worker_and_more_of_them_are_spread() -> None:
    gpus = names_of(2, {"CUDA_VISIBLE_DEVICES": "5, GPU-8a1b"})
    assert gpus == ("5", "GPU-8a1b")
    assert [gpu_of(place, gpus) for place in range(5)] == ["5", "GPU-8a1b", "5", "GPU-8a1b", "5"]
    assert names_of(2, {"CUDA_VISIBLE_DEVICES": "5"}) == ("0", "1")  # nonsense: CUDA itself says what is wrong


def says_its_gpu() -> Watermarker:
    raise ModelError(f"model: sees {os.environ.get('CUDA_VISIBLE_DEVICES')}")


@pytest.mark.parametrize(("gpus", "seen"), [(("7",), "sees 7"), ((), f"sees {os.environ.get('CUDA_VISIBLE_DEVICES')}")])
def test_a_worker_sees_its_own_gpu_only(tmp_path: Path, gpus: tuple[str, ...], seen: str) -> None:
    place = str(tmp_path / "registry.sqlite")
    Registry.open(place)
    pool = Pool(Setup(says_its_gpu, place, 1, 1, gpus), 1, memory=1 << 40, short_pixels=1, recycle=1)
    with pytest.raises(WamError, match=seen):
        pool.start()


def test_what_there_is_on_this_machine_is_asked_by_another_process() -> None:
    found = accelerators()
    assert found.gpus == names_of(torch.cuda.device_count(), os.environ)
    assert found.mps == torch.backends.mps.is_available()
