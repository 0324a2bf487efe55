"""The checkpoints the toolkit knows by name, and ``load``, which makes a ready ``Watermarker`` of one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch

from wam.calibration import Calibration
from wam.carrier import Carrier
from wam.checkpoints import Checkpoint, load_checkpoint
from wam.errors import ModelError
from wam.marker import Watermarker
from wam.model import WatermarkModel


@dataclass(frozen=True)
class Known:
    """A checkpoint that ships with the package. ``sha256`` hex digest of its file."""

    file: str
    sha256: str
    licence: str


DEFAULT = "lattice32"
KNOWN = {
    DEFAULT: Known("lattice32.safetensors", "30cd3f3c5d218374cc82ab7927fa88b70e9cfe99f92a00b2b963e2abca133eee", "MIT")
}
DEVICES = ("auto", "cpu", "cuda", "mps")


def load(
    model: str | Path = DEFAULT,
    *,
    device: str = "auto",
    keys: Sequence[bytes | None] = (None,),
    precision: str = "fp32",
) -> Watermarker:
    """Loads a model by name or path.

    ``device`` "auto" takes CUDA, then MPS, then the CPU. ``keys``: secret keys of the carriers, the first marks; None
    is the public carrier. ``precision`` "bf16" or "fp16" runs the extractor in autocast. Raises ``ModelError`` for a
    missing, altered or foreign file.
    """
    checkpoint, name = open_checkpoint(model)
    chosen = choose_device(device)
    carriers = [Carrier.from_key(key, device=chosen) for key in keys]
    network = WatermarkModel(checkpoint.embedder, checkpoint.extractor, carriers, precision=precision)
    if "calibration" not in checkpoint.metadata:
        raise ModelError(f"{model}: expected a calibrated checkpoint, found none; run scripts/calibrate.py on it")
    calibration = Calibration(**checkpoint.metadata["calibration"])
    identity = f"{name}@{checkpoint.sha256[:8]}"
    return Watermarker(
        network.to(chosen).to(memory_format=torch.channels_last), calibration, name=identity, device=chosen
    )


def open_checkpoint(model: str | Path) -> tuple[Checkpoint, str]:
    """The checkpoint behind a name or path, checked, and its short name."""
    if isinstance(model, str) and model in KNOWN:
        known = KNOWN[model]
        return load_checkpoint(shipped(known.file), sha256=known.sha256), model
    path = Path(model)
    if not path.exists():
        raise ModelError(f"{model}: expected a model name ({', '.join(KNOWN)}) or a file, found neither; check --model")
    return load_checkpoint(path), path.stem


def shipped(file: str) -> Path:
    """Path of a packaged checkpoint: inside the installed package, or in ``checkpoints/`` of a source tree."""
    packaged = Path(str(resources.files("wam"))) / "weights" / file
    return packaged if packaged.exists() else Path(str(resources.files("wam"))).parent / "checkpoints" / file


def choose_device(device: str) -> str:
    """The device to run on: "auto" resolved, anything else checked."""
    if device not in DEVICES:
        raise ModelError(f"device: expected one of {', '.join(DEVICES)}, found {device}; choose one of them")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return next(name for name in ("cuda", "mps", "cpu") if available[name])
    if not available[device]:
        raise ModelError(f"device: expected {device}, found none on this machine; use --device cpu")
    return device
