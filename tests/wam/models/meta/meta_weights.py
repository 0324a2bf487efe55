"""Weights and pictures for the tests of Meta's WAM, the same on every machine and in every version of torch.

    python -m tests.wam.models.meta.meta_weights

writes data/meta_answers.safetensors: what the model answers with these weights, thinned out.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor, nn

from wam.models.meta import MetaModel
from wam.pictures.atomic_write import save_atomically

DATA = Path(__file__).parent / "data"
ANSWERS = DATA / "meta_answers.safetensors"
THIN = (..., slice(None, None, 32), slice(None, None, 32))  # of answers of 256 x 256


def empty_model(**options: Any) -> MetaModel:
    """The architecture without memory for weights."""
    with torch.device("meta"):
        return MetaModel(**options)


def fill(module: nn.Module) -> dict[str, Tensor]:
    """A state dict of pseudo-random weights: RandomState's stream, seeded by the key, never changes."""
    return {key: _values(key, tensor) for key, tensor in module.state_dict().items()}


def _values(key: str, tensor: Tensor) -> Tensor:
    if key.startswith("attenuation."):
        return tensor.clone()
    scale = math.sqrt(3 / tensor[0].numel()) if tensor.ndim > 1 else 0.2
    values = np.random.RandomState(crc32(key.encode())).random_sample(tensor.numel()).astype(np.float32)
    filled = torch.from_numpy((values * 2 - 1) * np.float32(scale)).reshape(tensor.shape)
    return filled + 1 if key.endswith("weight") and tensor.ndim == 1 else filled


def filled_model() -> MetaModel:
    """The whole model with these weights, in eval mode: 378 MB, seconds."""
    from wam.models.meta.jnd import JND

    model = empty_model()
    model.attenuation = JND()
    model.load_state_dict(fill(model), strict=True, assign=True)
    return model.eval()


def painted(mask: Tensor, *messages: tuple[Tensor, Tensor]) -> Tensor:
    """Logits (33, h, w) as the extractor gives them: mask (h, w) bool, then (where (h, w) bool, bits (32,)) of each."""
    logits = torch.zeros(33, *mask.shape)
    logits[0] = torch.where(mask, 3.0, -3.0)
    for where, bits in messages:
        logits[1:, where] = (bits.flatten()[:, None] * 2.0 - 1) * 4
    return logits


def slopes(height: int, width: int) -> Tensor:
    """(1, 3, H, W) float32 in [0, 1] in steps of 1/255: slopes and stripes, no random numbers."""
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    red, green = 255 * x // width, 255 * y // height
    blue = (x // 3 + y // 5) % 2 * 90 + 60
    return torch.stack([red, green, blue])[None].float() / 255


def answers(model: MetaModel) -> dict[str, Tensor]:
    """What the parts answer, thinned out, by name."""
    bits = (torch.arange(32) % 3 == 0).long()[None]
    picture = slopes(96, 144)
    with torch.no_grad():
        return {
            "jnd": model.attenuation(picture)[..., ::6, ::6].contiguous(),
            "delta": model.embedder(slopes(256, 256) * 4 - 2, bits)[THIN].contiguous(),
            "residual": model.residual(picture, bits)[..., ::6, ::6].contiguous(),
            "logits": model.extract(picture)[THIN].contiguous(),
        }


if __name__ == "__main__":
    content = save(answers(filled_model()))
    save_atomically(ANSWERS, lambda path: path.write_bytes(content))
