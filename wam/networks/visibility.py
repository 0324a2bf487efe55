"""What eyes do not see: levels of luma and chroma that each place of a picture hides, and how strong a mark is made.

Second law of the embedder's gain. The first, in ``wam.networks.embedder``, weighs by structural similarity, gives
textured places many levels and smooth ones about one, which is plainly seen there. This one follows ColorVideoVDP
(Mantiuk et al. 2024): what is seen of a uniform pattern falls with about the square root of the local texture, and
counts in the luminance of the display. So amplitudes lie between ``PLAIN`` and ``PLAIN + MOST`` levels, and a share of
the same pattern goes into chroma, in a direction (``wam.signal.filters.VIOLET``) that takes away from the display's
luminance what the mark adds to it and leaves the luma of codecs, which is what readers see, as it is.

The strength of a picture is found by trial: marked, saved as JPEG and read once, in memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wam.networks.perceptual import texture
from wam.signal.filters import box_mean, coloured, luma

PLAIN = 0.36  # levels rms of luma where a picture is of one colour
MOST = 2.0  # levels more in the strongest texture
HALF = 6.0  # levels of texture that hide half of that
DARK = 0.35  # more in black, as a share, falling linearly to none at level 96
CHROMA = 0.35  # levels of chroma (units of Cb) where a picture is of one colour
BUSY = 4.0  # levels of texture at which that has fallen to a half
CHROMA_SHARE = 0.4  # levels of chroma for each of luma, at least
SMALL = 1.1  # times the levels in small pictures, which have few periods of the pattern to be read from
TILT = 0.5  # .7 dB less is seen at equal reading than without, by ColorVideoVDP on validation photos
COARSE = (1.25, 2.0)  # pixels of the file for one of the pattern's: chroma and tilt from none to all; small pictures
# lose fine frequencies first, to blur and when they are reduced, and 4:2:0 takes their chroma


@dataclass(frozen=True)
class Gains:
    """Levels (8-bit) of the unit-variance pattern at each place: ``luma`` and ``chroma`` (B, 1, h, w); the second in
    units of Cb, None for none."""

    luma: Tensor
    chroma: Tensor | None = None

    def times(self, factor: Tensor | float) -> Gains:
        """Scaled, picture by picture: factor (B,), or one for all."""
        wide = factor.view(-1, 1, 1, 1) if isinstance(factor, Tensor) else factor
        return Gains(self.luma * wide, None if self.chroma is None else self.chroma * wide)

    def power(self) -> Tensor:
        """Mean square of what is added, over places and R, G and B: (B,), squared levels."""
        added = self.luma if self.chroma is None else coloured(self.luma, self.chroma)
        return added.square().mean(dim=(1, 2, 3))

    def __getitem__(self, index: int) -> Gains:
        """Those of one picture, (1, 1, h, w)."""
        return Gains(self.luma[index, None], None if self.chroma is None else self.chroma[index, None])


class PerceptualEmbedder(nn.Module):
    """Picture (B, 3, H, W) in [0, 1] at working resolution -> gain of luma (B, 1, H, W) in 8-bit levels, by the second
    ``law``; it has no weights."""

    law = 2

    def tilt(self, coarseness: float) -> float:
        """Power of the frequency that the carrier's amplitudes grow with, where eyes see less: ``coarseness`` in pixels
        of the file for one at working resolution."""
        return TILT * float(_share(torch.tensor(coarseness)))

    @property
    def shape(self) -> dict[str, int]:
        """What ``wam.models.checkpoints`` builds it again from."""
        return {"law": self.law}

    def forward(self, images: Tensor) -> Tensor:
        return hidden_luma(images)


def hidden(images: Tensor, gain: Tensor, coarseness: Tensor) -> Gains:
    """Levels of luma and chroma from a gain of luma (B, 1, H, W) by the second law: images (B, 3, H, W) in [0, 1] at
    working resolution, ``coarseness`` (B,) pixels of the file for one of them."""
    return Gains(gain, hidden_chroma(images, gain, coarseness)).times(1 + (SMALL - 1) * (1 - _share(coarseness)))


def hidden_luma(images: Tensor) -> Tensor:
    """Levels of luma that each place hides: images (B, 3, H, W) in [0, 1] at working resolution -> (B, 1, H, W)."""
    rough = texture(images)
    dark = DARK * (1 - box_mean(luma(images) * 255, 7) / 96).clamp(0, 1)
    return (PLAIN + MOST * rough / (rough + HALF)) * (1 + dark)


def hidden_chroma(images: Tensor, luma_gain: Tensor, coarseness: Tensor) -> Tensor:
    """Levels of chroma beside a gain of luma (B, 1, H, W): images (B, 3, H, W), ``coarseness`` (B,) pixels of the file
    for one at working resolution -> (B, 1, H, W)."""
    smooth = CHROMA / (1 + (texture(images) / BUSY).square())
    return torch.maximum(smooth, CHROMA_SHARE * luma_gain) * _share(coarseness).view(-1, 1, 1, 1).to(luma_gain)


def _share(coarseness: Tensor) -> Tensor:
    """From none to all between ``COARSE``."""
    return ((coarseness - COARSE[0]) / (COARSE[1] - COARSE[0])).clamp(0, 1)
