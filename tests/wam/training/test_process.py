"""Processes of one run agree with each other."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from wam.training.process import Processes

REPOSITORY = Path(__file__).parents[3]
MEETING = """
from wam.training.process import Processes
processes = Processes.join()
rank = processes.rank
print(f"{processes.first} {processes.of_first(5.0 + rank)} {processes.mean(rank, 4.0)}\\n", end="", flush=True)
processes.leave()
"""


def test_one_process_agrees_with_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    monkeypatch.delenv("RANK", raising=False)
    alone = Processes.join()
    assert (alone.rank, alone.count, alone.first) == (0, 1, True)
    assert alone.of_first(2.5) == 2.5 and alone.mean(1.0, 2.0) == [1.0, 2.0]
    alone.leave()


@pytest.mark.parametrize(("count", "device", "shares"), [(1, "cpu", False), (2, "cpu", True), (2, "cuda", False)])
def test_processes_share_cores_where_several_compute_on_a_cpu(count: int, device: str, shares: bool) -> None:
    assert Processes(0, count, torch.device(device)).shares_cores == shares


@pytest.mark.slow
def test_two_processes_follow_the_first_and_share_means(tmp_path: Path) -> None:
    script = tmp_path / "meeting.py"
    script.write_text(MEETING)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script)]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    shown = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120).stdout
    assert sorted(shown.split("\n")) == ["", "False 5.0 [0.5, 4.0]", "True 5.0 [0.5, 4.0]"]
