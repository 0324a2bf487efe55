"""The checkpoints the toolkit knows by name, and ``build``, which makes a model of one or of a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

import torch

from wam.errors import ModelError
from wam.models.checkpoints import load_checkpoint
from wam.models.names import DEFAULT
from wam.models.protocol import Checkpoint, Model
from wam.networks.precision import AUTO, best_precision
from wam.signal.specification import SIGNAL


@dataclass(frozen=True)
class Known:
    """A checkpoint that ships with the package: one of several extractors, say, for one ``signal``.

    ``sha256`` hex digest of its file; ``signal`` by its name, and ``size``, for people: small or large.
    """

    file: str
    sha256: str
    licence: str
    signal: str
    size: str


KNOWN = {
    DEFAULT: Known(
        file="lattice32.safetensors",
        sha256="5d36c822185c9f149c28cf7c7f13775b81a51ff6f0ee233156697e6a7b202e2a",
        licence="MIT",
        signal=SIGNAL.name,
        size="small",
    ),
}
DEVICES = ("auto", "cpu", "cuda", "mps")


def build(model: str | Path, *, device: str, carriers: Sequence[bytes | None], precision: str) -> Model:
    """The model behind a name or path, ready on a device: "auto", or one of ``DEVICES``.

    ``carriers``: keys that carriers are drawn from, None for the public one; ``precision`` "auto": see
    ``default_precision``. Raises ``ModelError`` for a missing, altered or foreign file and an absent device.
    """
    checkpoint, name = open_checkpoint(model)
    chosen = choose_device(device)
    precision = default_precision(model, chosen) if precision == AUTO else precision
    named = f"{name}@{checkpoint.sha256[:8]}"
    return checkpoint.build(name=named, keys=carriers, device=chosen, precision=precision)


def default_precision(model: str | Path, device: str) -> str:
    """What a model computes in unless it is told: the toolkit's own in the device's best, Meta's as it was published.

    In bf16 the shipped model's estimates differ by half a percent of their size from those in fp32.
    """
    if isinstance(model, str) and model in KNOWN:
        return best_precision(device)
    from wam.models.meta.weights import is_meta  # the shipped models do without

    return "fp32" if is_meta(Path(model)) else best_precision(device)


def open_checkpoint(model: str | Path, *, known: Mapping[str, Known] = KNOWN) -> tuple[Checkpoint, str]:
    """The checkpoint behind a name or path, checked, and its short name."""
    if isinstance(model, str) and model in known:
        found = known[model]
        return load_checkpoint(shipped(found.file), sha256=found.sha256), model
    from wam.models.meta.weights import is_meta, load_weights  # the shipped models do without

    path = Path(model)
    if not path.exists():
        raise ModelError(f"{model}: {_missing(str(model))}")
    return (load_weights(path) if is_meta(path) else load_checkpoint(path)), path.stem


def _missing(model: str) -> str:
    """What to do about a name that is neither known nor a file."""
    from wam.models.meta.weights import LICENCES

    if Path(model).stem in LICENCES:
        return "expected the path of Meta's weights, found no such file; they are not shipped, see README.md"
    return f"expected a model name ({', '.join(KNOWN)}) or a file, found neither; check --model"


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
