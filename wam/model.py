"""The model: embedder and extractor networks around one carrier, on tensors."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.carrier import Carrier
from wam.embedder import Embedder, scale_to_psnr
from wam.extractor import ExtractorOutput

WORKING_SIDE = 256  # pixels: short side at which the residual is designed; smaller pictures are worked on as they are
PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}  # of the extractor; results stay float32
ROWS = 512  # rows of a large picture that are marked at a time, pixels


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Antialiased bilinear resize of (B, C, H, W); the picture itself when the size is the same."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", antialias=True, align_corners=False)


def sized(height: int, width: int, short_side: float) -> tuple[int, int]:
    """Height and width with the given short side and the same aspect ratio, at least 8 pixels each."""
    factor = short_side / min(height, width)
    return max(8, round(height * factor)), max(8, round(width * factor))


class WatermarkModel(nn.Module):
    """What every model of the toolkit offers: marked pictures out of bits, and a pattern estimate out of pictures.

    ``carriers[0]`` is the one pictures are marked with; detection tries all of them.
    """

    def __init__(
        self, embedder: Embedder, extractor: nn.Module, carriers: Sequence[Carrier], *, precision: str = "fp32"
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise ValueError(
                f"precision: expected one of {', '.join(PRECISIONS)}, found {precision}; choose one of them"
            )
        self.precision = PRECISIONS[precision]
        self.embedder = embedder
        self.extractor = extractor
        self.carriers = list(carriers)

    def mark(self, images: Tensor, bits: Tensor, *, psnr_db: float) -> Tensor:
        """Marked pictures: images (B, 3, H, W) float in [0, 1], bits (B, 32) in {0, 1} -> the same shape, not rounded.

        Differentiable in the images and in the embedder's weights.
        """
        height, width = images.shape[-2:]
        working = sized(height, width, min(WORKING_SIDE, height, width))
        gain = scale_to_psnr(self.embedder(resize(images, working)), psnr_db)
        count = len(images)
        steps = torch.tensor([working[1] / width, working[0] / height], device=images.device)
        matrix = torch.diag(steps).expand(count, 2, 2)
        strips = []
        for top in range(0, height, ROWS):  # the pattern is exact at any place, so strips meet without a seam
            rows = min(ROWS, height - top)
            offset = (steps * torch.tensor([0.0, top], device=images.device)).expand(count, 2)
            pattern = self.carriers[0].render(bits, matrix, offset, (rows, width))
            strip = images[..., top : top + rows, :]
            local = _gain_rows(gain, top, rows, (height, width))
            strips.append((strip + local * pattern / 255).clamp(0, 1))
        return torch.cat(strips, dim=2)

    def extract(self, images: Tensor) -> ExtractorOutput:
        """Pattern estimate and mask logits at the pictures' own resolution: (B, 3, H, W) in [0, 1]."""
        images = images.contiguous(memory_format=torch.channels_last)
        if self.precision is None:
            return self.extractor(images)
        with torch.autocast(images.device.type, dtype=self.precision):
            return self.extractor(images)


def _gain_rows(gain: Tensor, top: int, rows: int, size: tuple[int, int]) -> Tensor:
    """Bilinear samples of the gain map for some rows of the full picture: -> (B, 1, rows, width)."""
    height, width = size
    y = (torch.arange(top, top + rows, device=gain.device) + 0.5) * 2 / height - 1
    x = (torch.arange(width, device=gain.device) + 0.5) * 2 / width - 1
    last = 1 - 1 / torch.tensor([gain.shape[-1], gain.shape[-2]], device=gain.device)  # centres of the border pixels
    grid = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1).clamp(-last, last)
    grid = grid.expand(len(gain), -1, -1, -1).to(gain.dtype)
    return F.grid_sample(gain, grid, mode="bilinear", align_corners=False)
