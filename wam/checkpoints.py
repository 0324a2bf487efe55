"""Checkpoints: safetensors files that describe themselves, checked by SHA-256 before anything is trusted."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from wam.atomic import save_atomically
from wam.embedder import Embedder
from wam.errors import ModelError
from wam.extractor import Extractor

FORMAT = "wam-toolkit-1"


@dataclass(frozen=True)
class Checkpoint:
    """``sha256`` hex digest of the file; ``metadata`` as written by training; the two networks, in eval mode."""

    path: Path
    sha256: str
    metadata: dict[str, Any]
    embedder: Embedder
    extractor: Extractor


def save_checkpoint(path: Path, embedder: Embedder, extractor: Extractor, metadata: Mapping[str, Any]) -> str:
    """Writes both networks in float16 with what is needed to rebuild them; returns the SHA-256 of the file."""
    tensors = {f"embedder.{k}": v for k, v in embedder.state_dict().items()}
    tensors |= {f"extractor.{k}": v for k, v in extractor.state_dict().items()}
    shape = {
        "embedder": {"channels": embedder.stem.out_channels},
        "extractor": {"channels": extractor.stem.out_channels, "blocks": len(extractor.blocks)},
    }
    header = {"format": FORMAT, "architecture": json.dumps(shape), "metadata": json.dumps(dict(metadata))}
    data = dump_tensors({k: v.detach().cpu().half().contiguous() for k, v in tensors.items()}, header)
    save_atomically(path, lambda temporary: temporary.write_bytes(data))
    return hashlib.sha256(data).hexdigest()


def load_checkpoint(path: Path, *, sha256: str | None = None) -> Checkpoint:
    """Reads, checks and rebuilds; ``sha256`` is the digest the file must have, None accepts any sound file."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"{path}: expected a checkpoint, found none ({error.strerror}); reinstall or give --model"
        ) from error
    digest = hashlib.sha256(data).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ModelError(
            f"{path}: expected SHA-256 {sha256[:16]}…, found {digest[:16]}…; "
            "the file was altered, reinstall the package"
        )
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        tensors = load_tensors(data)
    except SafetensorError as error:
        raise ModelError(f"{path}: expected a safetensors checkpoint, found {error}; give another --model") from error
    if header.get("format") != FORMAT:
        raise ModelError(
            f"{path}: expected format {FORMAT}, found {header.get('format')}; give a checkpoint of this toolkit"
        )
    shape = json.loads(header["architecture"])
    embedder, extractor = Embedder(**shape["embedder"]), Extractor(**shape["extractor"])
    _load_strictly(path, embedder, tensors, "embedder.")
    _load_strictly(path, extractor, tensors, "extractor.")
    return Checkpoint(path, digest, json.loads(header["metadata"]), embedder.eval(), extractor.eval())


def _load_strictly(path: Path, module: nn.Module, tensors: Mapping[str, Tensor], prefix: str) -> None:
    chosen = {k.removeprefix(prefix): v.float() for k, v in tensors.items() if k.startswith(prefix)}
    try:
        module.load_state_dict(chosen, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: keys of the {prefix[:-1]} do not match its architecture: {error}") from error
