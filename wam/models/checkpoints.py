"""Checkpoints: safetensors files that describe themselves, checked by SHA-256 before anything is trusted.

The header holds JSON texts: ``architecture`` rebuilds the networks, ``signal`` is what they were trained for,
``metadata`` comes from training and calibration, ``same_marks_as`` names files of other hashes whose marks are read
alike. Files of version 0.2.0 have neither signal nor ``calibration.search``: both are what that version had.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as dump_tensors
from torch import Tensor, nn

from wam.detection.calibration import Calibration
from wam.detection.config import DEFAULT_SEARCH, SEARCH_OF_0_2_0, SearchConfig
from wam.errors import ModelError
from wam.models.lattice_model import ARCHITECTURE, LatticeModel
from wam.networks.embedder import Embedder
from wam.networks.extractor import Extractor
from wam.networks.mask_head import MaskHead
from wam.networks.unet_extractor import UNetExtractor
from wam.networks.visibility import PerceptualEmbedder
from wam.pictures.atomic_write import save_atomically
from wam.signal.pattern import Carrier
from wam.signal.specification import EXPERIMENT, SIGNAL, Signal

FORMAT = "wam-toolkit-1"
DAMAGED = "the file is damaged, get it again"
RECALIBRATE = "python scripts/calibrate.py --photos FOLDER --model FILE --out FILE"


@dataclass(frozen=True)
class Checkpoint:
    """Implements ``wam.models.protocol.Checkpoint``; ``metadata`` as written by training; the networks, in eval mode.
    ``mask_head`` None: masks are hand-made; ``same_as``: names, as NAME@HASH8, of files with the same extractor, whose
    marks are read alike."""

    path: Path
    sha256: str
    metadata: dict[str, Any]
    embedder: Embedder | PerceptualEmbedder
    extractor: Extractor | UNetExtractor
    mask_head: MaskHead | None = None
    signal: Signal = SIGNAL
    same_as: tuple[str, ...] = ()
    architecture = ARCHITECTURE

    @property
    def licence(self) -> str | None:
        """As written into the file."""
        return self.metadata.get("licence")

    @property
    def parameters(self) -> dict[str, int]:
        """Count by network."""
        networks: dict[str, nn.Module] = {"embedder": self.embedder, "extractor": self.extractor}
        if self.mask_head is not None:
            networks["mask_head"] = self.mask_head
        return {name: sum(weight.numel() for weight in network.parameters()) for name, network in networks.items()}

    @property
    def calibration(self) -> dict[str, Any] | None:
        """As measured by ``scripts/calibrate.py`` and written into the file."""
        return self.metadata.get("calibration")

    def calibrated_as(self, other: Checkpoint) -> Checkpoint:
        """The same networks with the calibration of a later file of them, which holds for a later search."""
        later: dict[str, Any] = {
            name: other.metadata[name] for name in ("calibration", "calibration_basis") if name in other.metadata
        }
        return replace(self, metadata={**self.metadata, **later})

    def build(
        self,
        *,
        name: str,
        keys: Sequence[bytes | None],
        device: str,
        precision: str,
        config: SearchConfig = DEFAULT_SEARCH,
    ) -> LatticeModel:
        """The model with one carrier for each key; None is the public one. Raises ``ModelError`` for a calibration that
        was not made with the search of ``config``."""
        model = LatticeModel(
            self.embedder,
            self.extractor,
            [Carrier.from_key(key, device=device, signal=self.signal) for key in keys],
            self._calibrated(config.digest()),
            name=name,
            licence=self.licence,
            precision=precision,
            mask_head=self.mask_head,
            config=config,
            signal=self.signal.name,
            same_as=self.same_as,
        )
        return model.eval().to(device).to(memory_format=torch.channels_last)

    def _calibrated(self, expected: str) -> Calibration:
        """The calibration, if it was made with a search of that digest."""
        if self.calibration is None:
            raise ModelError(f"{self.path}: expected a calibrated checkpoint, found none; run {RECALIBRATE}")
        if not isinstance(self.calibration, dict):
            raise ModelError(f"{self.path}: expected calibrated values, found {self.calibration!r}; run {RECALIBRATE}")
        values = dict(self.calibration)
        found = values.pop("search", SEARCH_OF_0_2_0)
        if found != expected:
            raise ModelError(
                f"{self.path}: expected a calibration made with search {expected}, found one made with {found}; "
                f"calibrate it again: {RECALIBRATE}"
            )
        wanted = [one.name for one in fields(Calibration)]
        if sorted(values) != sorted(wanted):
            raise ModelError(
                f"{self.path}: expected a calibration of {', '.join(wanted)}, found {', '.join(values) or 'nothing'}; "
                f"calibrate it again: {RECALIBRATE}"
            )
        try:
            return Calibration(**values)
        except (TypeError, ValueError) as error:
            raise ModelError(
                f"{self.path}: expected a calibration that makes sense, found {values}; "
                f"calibrate it again: {RECALIBRATE}"
            ) from error


def build_extractor(**shape: int) -> Extractor | UNetExtractor:
    """The extractor of a shape, as its own ``shape`` says: a U-Net where it has a deeper scale."""
    return UNetExtractor(**shape) if "deep" in shape else Extractor(**shape)


def build_embedder(**shape: int) -> Embedder | PerceptualEmbedder:
    """The embedder of a shape, as its own ``shape`` says; raises ``ValueError`` for a law that is not known."""
    law = shape.get("law", 1)
    if law == 1:
        return Embedder(**shape)
    if shape != PerceptualEmbedder().shape:
        raise ValueError(f"embedder: expected law 1 or 2 of what a picture hides, found {shape}; update the package")
    return PerceptualEmbedder()


def save_checkpoint(
    path: Path,
    embedder: Embedder | PerceptualEmbedder,
    extractor: Extractor | UNetExtractor,
    metadata: Mapping[str, Any],
    *,
    signal: Signal,
    mask_head: MaskHead | None = None,
    same_as: Sequence[str] = (),
) -> str:
    """Writes the networks in float16 with what is needed to rebuild them; returns the SHA-256 of the file.

    ``signal`` that they were trained for; raises ``ValueError`` for an experiment, which no version of the code reads.
    ``same_as``: names of other files whose marks are read alike.
    """
    if signal.version == EXPERIMENT:
        raise ValueError(f"{path}: expected a signal of the product, found an experiment; keep its networks elsewhere")
    tensors = {f"embedder.{k}": v for k, v in embedder.state_dict().items()}
    tensors |= {f"extractor.{k}": v for k, v in extractor.state_dict().items()}
    shape: dict[str, dict[str, int]] = {
        "embedder": embedder.shape,
        "extractor": extractor.shape,
    }
    if mask_head is not None:
        tensors |= {f"mask_head.{k}": v for k, v in mask_head.state_dict().items()}
        shape["mask_head"] = {"channels": mask_head.stem.out_channels}
    header = {
        "format": FORMAT,
        "architecture": json.dumps(shape),
        "signal": json.dumps(signal.to_dict()),
        "metadata": json.dumps(dict(metadata)),
    }
    if same_as:
        header["same_marks_as"] = json.dumps(list(same_as))
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
        tensors = load_tensors(data)
        header = _header(data)
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: expected a safetensors checkpoint, found {error}; give another --model") from error
    if header.get("format") != FORMAT:
        raise ModelError(
            f"{path}: expected format {FORMAT}, found {header.get('format')}; give a checkpoint of this toolkit"
        )
    signal = _signal(path, header)
    try:
        shape = json.loads(header["architecture"])
        embedder, extractor = build_embedder(**shape["embedder"]), build_extractor(**shape["extractor"])
        mask_head = MaskHead(**shape["mask_head"]) if "mask_head" in shape else None
        metadata = dict(json.loads(header["metadata"]))
        same_as = tuple(str(name) for name in json.loads(header.get("same_marks_as", "[]")))
    except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        found = header.get("architecture")
        raise ModelError(
            f"{path}: expected an architecture this version can build, found {found}; update the package"
        ) from error
    networks = nn.ModuleDict({"embedder": embedder, "extractor": extractor})
    if mask_head is not None:
        networks["mask_head"] = mask_head.eval()
    _load_strictly(path, networks, tensors)
    return Checkpoint(path, digest, metadata, embedder.eval(), extractor.eval(), mask_head, signal, same_as)


def _signal(path: Path, header: Mapping[str, Any]) -> Signal:
    """The signal that a header states, which has to be the one that this code builds; 0.2.0 stated none."""
    if "signal" not in header:
        return SIGNAL
    try:
        stated = json.loads(header["signal"])
    except ValueError as error:
        raise ModelError(f"{path}: expected a signal, found {header['signal'][:40]!r}; {DAMAGED}") from error
    if not isinstance(stated, dict):
        raise ModelError(f"{path}: expected a signal, found {header['signal'][:40]!r}; {DAMAGED}")
    try:
        return Signal.from_dict(stated)
    except ValueError as error:
        raise ModelError(f"{path}: {error}") from error
    except TypeError as error:
        raise ModelError(f"{path}: expected a signal, found {header['signal'][:40]!r}; {DAMAGED}") from error


def _header(data: bytes) -> dict[str, Any]:
    """The metadata of a safetensors file: 8 bytes little-endian length, then JSON with the key ``__metadata__``."""
    length = int.from_bytes(data[:8], "little")
    return dict(json.loads(data[8 : 8 + length]).get("__metadata__") or {})


def _load_strictly(path: Path, networks: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    try:
        networks.load_state_dict({name: tensor.float() for name, tensor in tensors.items()}, strict=True)
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ModelError(f"{path}: expected the keys of its architecture, found others: {reason}") from error
