"""Files of Meta's WAM weights: as published, out of a training run, or converted; checked key by key.

Published are ``wam_mit.pth`` and ``wam_coco.pth``, flat state dicts; training writes the same under ``model``, with
``module.`` before each key where it ran on several devices. ``save_weights`` writes safetensors.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from wam.errors import ModelError
from wam.models.catalogue import META_LICENCES
from wam.models.meta.model import ARCHITECTURE, CALIBRATION, MetaModel
from wam.pictures.atomic_write import save_atomically

FORMAT = "meta-wam-1"
TELLTALE = "embedder.msg_processor.msg_embeddings.weight"
REMEDY = "give wam_mit.pth or wam_coco.pth as published, or a training checkpoint of that model"


@dataclass(frozen=True, eq=False)
class MetaWeights:
    """Implements ``wam.models.protocol.Checkpoint``; ``tensors`` float32, all 432 of the state dict."""

    path: Path
    sha256: str
    metadata: dict[str, Any]
    tensors: dict[str, Tensor]
    architecture = ARCHITECTURE
    signal = None
    same_as = ()

    @property
    def licence(self) -> str | None:
        """As written by ``save_weights``, or known by the name of the published file."""
        if "licence" in self.metadata:
            return str(self.metadata["licence"])
        known = META_LICENCES.get(self.path.stem)
        return known and f"{known}, by the file's name"

    @property
    def parameters(self) -> dict[str, int]:
        """Count by network, the fixed kernels of the JND left out."""
        parts = {"embedder": "embedder.", "extractor": "detector."}
        return {
            name: sum(tensor.numel() for key, tensor in self.tensors.items() if key.startswith(prefix))
            for name, prefix in parts.items()
        }

    @property
    def calibration(self) -> dict[str, Any]:
        """The published one: no file of Meta's carries any."""
        return CALIBRATION

    def build(self, *, name: str, keys: Sequence[bytes | None], device: str, precision: str) -> MetaModel:
        """The model; it has no carriers, so a key is refused."""
        if any(key is not None for key in keys):
            raise ModelError(
                f"{self.path}: expected no key, found one; Meta's WAM has none, leave --key-file and WAM_KEY out"
            )
        model = _empty(name=name, licence=self.licence, precision=precision)
        model.load_state_dict(self.tensors, strict=True, assign=True)
        return model.eval().to(device)


def is_meta(path: Path) -> bool:
    """Whether a file is to be read as Meta's weights: anything of torch's own formats, or safetensors with its keys."""
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
        if start[:4] == b"PK\x03\x04" or start[:1] == b"\x80":  # torch's zip format, and pickle as it was before
            return True
        with safe_open(path, framework="pt") as tensors:
            return (tensors.metadata() or {}).get("format") == FORMAT or TELLTALE in tensors.keys()  # noqa: SIM118
    except (OSError, SafetensorError):
        return False


def load_weights(path: Path) -> MetaWeights:
    """Reads and checks a file; raises ``ModelError`` that names what is missing or unexpected."""
    try:
        with path.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
            stream.seek(0)
            pickled = stream.read(4)[:1] in (b"P", b"\x80")
    except OSError as error:
        raise ModelError(f"{path}: expected Meta's WAM weights, found none ({error.strerror}); {REMEDY}") from error
    values, metadata = _read_torch(path) if pickled else _read_safetensors(path)
    return MetaWeights(path, digest, metadata, _checked(path, values))


def save_weights(path: Path, weights: MetaWeights, *, licence: str | None = None) -> str:
    """Writes safetensors, float32 and unaltered, with licence and origin; returns the SHA-256 of the file."""
    stated = licence or weights.metadata.get("licence") or META_LICENCES.get(weights.path.stem)
    metadata = {**weights.metadata, "converted_from": {"file": weights.path.name, "sha256": weights.sha256}}
    metadata |= {"licence": stated} if stated else {}
    header = {"format": FORMAT, "metadata": json.dumps(metadata)}
    tensors = {key: tensor.contiguous() for key, tensor in weights.tensors.items()}

    def write(temporary: Path) -> None:
        mode = temporary.stat().st_mode
        save_file(tensors, temporary, header)
        temporary.chmod(mode)  # safetensors leaves the file to its owner alone

    save_atomically(path, write)
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _read_torch(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    """The state dict of a file that ``torch.save`` wrote, without training's wrappings."""
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises nearly anything on what it did not write
        reason = " ".join(str(error).split())[:200]
        raise ModelError(f"{path}: expected a torch file of plain tensors, found: {reason}; {REMEDY}") from error
    if isinstance(values, Mapping) and isinstance(values.get("model"), Mapping):
        values = values["model"]
    if not isinstance(values, Mapping):
        raise ModelError(f"{path}: expected a state dict, found {type(values).__name__}; {REMEDY}")
    return {str(key).removeprefix("module."): value for key, value in values.items()}, {}


def _read_safetensors(path: Path) -> tuple[Mapping[str, Any], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as file:
            metadata = json.loads((file.metadata() or {}).get("metadata", "{}"))
            return {key: file.get_tensor(key) for key in file.keys()}, dict(metadata)  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: expected a safetensors file, found: {error}; {REMEDY}") from error


def _checked(path: Path, values: Mapping[str, Any]) -> dict[str, Tensor]:
    """All tensors of the model and no others, as float32."""
    expected = {key: tensor.shape for key, tensor in _empty().state_dict().items()}
    shapes = {key: value.shape if isinstance(value, Tensor) else type(value).__name__ for key, value in values.items()}
    common = [key for key in expected if key in shapes]
    problems = {
        "missing": [key for key in expected if key not in shapes],
        "unexpected": [key for key in shapes if key not in expected],
        "of another shape": [
            f"{key} {_show(shapes[key])} for {_show(expected[key])}" for key in common if shapes[key] != expected[key]
        ],
        "not finite": [key for key in common if shapes[key] == expected[key] and not values[key].isfinite().all()],
    }
    if any(problems.values()):
        found = ", ".join(f"{len(keys)} {problem} ({_some(keys)})" for problem, keys in problems.items() if keys)
        raise ModelError(f"{path}: expected the {len(expected)} tensors of Meta's WAM, found {found}; {REMEDY}")
    return {key: values[key].float() for key in expected}


def _empty(**options: Any) -> MetaModel:
    """The model without memory for its weights."""
    with torch.device("meta"):
        return MetaModel(**options)


def _some(keys: list[str]) -> str:
    return ", ".join(keys[:3]) + (", ..." if len(keys) > 3 else "")


def _show(shape: Sequence[int] | str) -> str:
    return shape if isinstance(shape, str) else "x".join(str(side) for side in shape)
