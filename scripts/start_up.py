"""What commands cost before their first network pass: CPU time (user and system) beside that of ``import torch`` alone.

python scripts/start_up.py [--times 7]

Each case is a process of its own; the cases take turns, so that a machine that grows busier weighs on all of them.
Medians are printed, and the median of each turn's ratio. What ends where a network is first called is compared with an
``import torch`` that is ended in the same way: torch takes .1 s and more to shut down.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
BARE = "import torch"
ENDED = "import os, torch; os._exit(77)"
COMMAND = "import sys; sys.argv = {arguments!r}; from wam.__main__ import main; main()"
TO_FIRST_PASS = (
    "import os, sys, torch; from torch.nn.modules.module import register_module_forward_pre_hook as before;"
    "before(lambda module, given: os._exit(77)); " + COMMAND
)
REACHED = 77  # the exit status of a process that came to a network
UNMARKED = 1
SIDE = 96  # of the picture, pixels


@dataclass(frozen=True)
class Case:
    """Python's ``text``, the ``status`` that it exits with, and the name of the case that it is compared with."""

    text: str
    status: int = 0
    beside: str = "import torch"


def cases(folder: Path) -> dict[str, Case]:
    """What is run, by name."""
    picture = folder / "picture.png"
    _write_picture(picture)
    detecting = ["wam", "detect", str(picture)]
    marking = ["wam", "embed", str(picture), "-o", str(folder / "out.png"), "--asset", "1", "--owner", "acme"]
    marking += ["--registry", str(folder / "registry.sqlite")]
    ended = "import torch, ended at once"
    return {
        "import torch": Case(BARE),
        ended: Case(ENDED, REACHED, ended),
        "wam --help": Case(COMMAND.format(arguments=["wam", "--help"])),
        "wam detect --help": Case(COMMAND.format(arguments=["wam", "detect", "--help"])),
        "wam detect, to its first pass": Case(TO_FIRST_PASS.format(arguments=detecting), REACHED, ended),
        "wam detect, whole": Case(COMMAND.format(arguments=detecting), UNMARKED),
        "wam embed, to its first pass": Case(TO_FIRST_PASS.format(arguments=marking), REACHED, ended),
    }


def _write_picture(path: Path) -> None:
    import numpy as np
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)


def cpu_seconds(case: Case, environment: dict[str, str]) -> float:
    """User and system time of one process, on one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", case.text], env=environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != case.status:
        raise SystemExit(f"expected exit status {case.status}, found {done.returncode}: {done.stderr.strip()}")
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args(arguments).times
    with tempfile.TemporaryDirectory() as folder:
        all_cases = cases(Path(folder))
        # no registry of the user's is opened: none is where their data would be
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "XDG_DATA_HOME": folder}
        for name in ("WAM_REGISTRY", "PYTHONDONTWRITEBYTECODE"):  # an installed package has its bytecode
            environment.pop(name, None)
        turns = [{name: cpu_seconds(case, environment) for name, case in all_cases.items()} for _ in range(times + 1)]
    turns = turns[1:]  # the first one filled the disk cache and wrote bytecode
    for name, case in all_cases.items():
        spent = median(turn[name] for turn in turns)
        ratio = median(turn[name] / turn[case.beside] for turn in turns)
        print(f"{name:30} {spent:6.2f} s  {ratio:5.2f} x {case.beside}")


if __name__ == "__main__":
    main()
