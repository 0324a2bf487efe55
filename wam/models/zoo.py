"""The checkpoints the toolkit knows by name, and ``build``, which makes a model of one or of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from wam.errors import ModelError
from wam.models.catalogue import KNOWN, META_LICENCES, Known, shipped
from wam.models.checkpoints import load_checkpoint
from wam.models.protocol import Checkpoint, Model
from wam.networks.precision import AUTO, best_precision

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
    if is_meta(path):
        return load_weights(path), path.stem
    loaded = load_checkpoint(path)
    for one in known.values():
        if loaded.sha256 in one.earlier:
            return loaded.calibrated_as(load_checkpoint(shipped(one.file), sha256=one.sha256)), path.stem
    return loaded, path.stem


def file_digest(model: str | Path) -> str:
    """SHA-256 of the file behind a name or path, in hexadecimal digits."""
    if isinstance(model, str) and model in KNOWN:
        return KNOWN[model].sha256
    return hashlib.sha256(Path(model).read_bytes()).hexdigest()


def _missing(model: str) -> str:
    """What to do about a name that is neither known nor a file."""
    if Path(model).stem in META_LICENCES:
        return "expected the path of Meta's weights, found no such file; they are not shipped, see docs/meta.md"
    return f"expected a model name ({', '.join(KNOWN)}) or a file, found neither; check --model"


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
