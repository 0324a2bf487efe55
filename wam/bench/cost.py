"""Time and memory of marking and reading, each measured in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor

ARCHITECTURE = "WAM architecture, random weights"
ACTIONS = ("embed", "detect", "detect unmarked", "extract")  # the last is one pass of the extractor alone
SECONDS = 1.0  # of measuring, after one run to warm up
MOST_RUNS = 10
LONGEST = 900  # seconds one measurement may take
SHORT = ((256, 1), (1024, 1))
FULL = tuple((side, batch) for side in (256, 1024, 4096) for batch in (1, 8))
MEGABYTE = 2**20
HOME = Path(__file__).resolve().parents[2]  # where this toolkit is, for the process of its own
# without the folder that the command is called in, whose ``payload.py`` is not ours
CODE = """import sys
path = [place for place in sys.path if place]
sys.path[:] = path if sys.argv[2] in path else [sys.argv[2], *path]
from wam.bench.cost import main
main(sys.argv[1])"""


@dataclass(frozen=True)
class Measurement:
    """What is measured: ``subject`` a model or ``ARCHITECTURE``; pictures of ``side`` x ``side`` pixels; ``precision``
    of the extractor."""

    subject: str
    action: str
    side: int
    batch: int
    device: str
    precision: str = "fp32"


@dataclass(frozen=True)
class CostLine:
    """``images_per_second`` and ``peak_mb`` (2^20 bytes of main memory; on CUDA, of the device), None after an error;
    ``peak_mb`` also where the system does not tell it."""

    subject: str
    action: str
    side: int
    batch: int
    precision: str
    images_per_second: float | None
    peak_mb: float | None
    error: str | None = None

    def __str__(self) -> str:
        """What was measured."""
        return f"{self.subject} in {self.precision}, {self.action}, {self.side} px, batch {self.batch}"


def measurements(model: str, device: str, *, full: bool) -> Iterator[Measurement]:
    """What the cost section holds: the model as it runs by default, and networks alone in fp32 as well.

    WAM's detection is one pass of its extractor; the clustering that follows is not counted.
    """
    from wam.models.zoo import default_precision

    usual = default_precision(model, device)
    for side, batch in FULL if full else SHORT:
        for action in ACTIONS:
            yield Measurement(model, action, side, batch, device, usual)
        if usual != "fp32":
            yield Measurement(model, "extract", side, batch, device)
        yield Measurement(ARCHITECTURE, "embed", side, batch, device)
        for precision in dict.fromkeys(("fp32", usual)):
            yield Measurement(ARCHITECTURE, "extract", side, batch, device, precision)


def measure(what: Measurement) -> CostLine:
    """Run one measurement in a process of its own; a failure is a line as well."""
    command = [sys.executable, "-c", CODE, json.dumps(asdict(what)), str(HOME)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST, check=True)
        speed, memory = json.loads(done.stdout.splitlines()[-1])
    except subprocess.CalledProcessError as error:
        last = (error.stderr.strip().splitlines() or [f"ended with {error.returncode}"])[-1]
        return _line(what, None, None, last)
    except subprocess.TimeoutExpired:
        return _line(what, None, None, f"took more than {LONGEST} s")
    return _line(what, speed, memory, None)


def _line(what: Measurement, speed: float | None, memory: float | None, error: str | None) -> CostLine:
    return CostLine(what.subject, what.action, what.side, what.batch, what.precision, speed, memory, error)


def run_here(what: Measurement) -> tuple[float, float | None]:
    """Images a second and peak memory in megabytes, in this process; None where the system does not tell it."""
    prepare = _prepare_architecture if what.subject == ARCHITECTURE else _prepare_model
    action = prepare(what)
    with torch.inference_mode():
        action()
        started, runs = time.perf_counter(), 0
        while runs == 0 or (runs < MOST_RUNS and time.perf_counter() - started < SECONDS):
            action()
            runs += 1
        _wait(what.device)
        seconds = time.perf_counter() - started
    peak = _peak(what.device)
    return round(what.batch * runs / seconds, 3), None if peak is None else round(peak / MEGABYTE, 1)


def _prepare_model(what: Measurement) -> Callable[[], object]:
    from wam.watermarker import load

    marker = load(what.subject, device=what.device, precision=what.precision)
    photos = _photos(what)
    bits = "01" * 16
    if what.action == "extract":
        there = photos.to(what.device)
        return lambda: marker.model.extract(there)
    if what.action == "embed":
        return lambda: marker.embed(photos, bits)
    if what.action == "detect":
        marked = marker.embed(photos, bits).image
        assert isinstance(marked, Tensor)
        photos = marked
    return lambda: [marker.detect(photo[None]) for photo in photos]


def _prepare_architecture(what: Measurement) -> Callable[[], object]:
    """Meta's networks on the way from picture to picture, and from picture to logits per pixel; no clustering."""
    from wam.models.meta import MetaModel

    model = MetaModel(precision=what.precision).eval().to(what.device)
    photos = _photos(what).to(what.device)
    bits = torch.zeros(what.batch, 32, dtype=torch.long, device=what.device)
    return (lambda: model.mark(photos, bits)) if what.action == "embed" else (lambda: model.extract(photos))


def _photos(what: Measurement) -> Tensor:
    """(batch, 3, side, side): the middle of packaged photos, so that reading has real texture to look at."""
    from wam.bench.photos import ImageSet, round_to_bytes
    from wam.signal.filters import resize

    images = ImageSet.packaged(size=None)
    photos = []
    for number in range(what.batch):
        photo = images.photo(number)
        side = min(photo.shape[-2:])
        top, left = (photo.shape[-2] - side) // 2, (photo.shape[-1] - side) // 2
        square = photo[..., top : top + side, left : left + side]
        photos.append(round_to_bytes(resize(square, (what.side, what.side))))
    return torch.cat(photos)


def _wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def _peak(device: str) -> float | None:
    """Bytes, None on systems that do not count them."""
    if device == "cuda":
        return float(torch.cuda.max_memory_allocated())
    try:
        import resource  # of Unix only
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def main(what: str) -> None:
    """In the process of its own: the measurement as JSON in, speed and memory as a line of JSON out."""
    print(json.dumps(run_here(Measurement(**json.loads(what)))))
