"""The just-noticeable difference that Meta's WAM was trained with, as coded there.

After Wu et al., "Enhanced just noticeable difference model for images with pattern complexity" (2017). The published
code differs from the paper and the weights were trained with the code: luminance adaptation has no "+3" in the dark
branch, so that it falls to nothing at level 127 and jumps to 3 above; contrast masking is scaled by .117; the borders
are padded with zeros.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wam.signal.filters import LUMA

BLUE = (0.5, 0.5, 1.0)  # share of red, green and blue: the eye is least sensitive to blue
OVERLAP = 0.3  # share of the smaller of both effects that is taken off
BETA = 0.117  # of contrast masking
TURN = 127  # level where luminance adaptation changes branch

SOBEL = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
SURROUND = (
    (1.0, 1.0, 1.0, 1.0, 1.0),
    (1.0, 2.0, 2.0, 2.0, 1.0),
    (1.0, 2.0, 0.0, 2.0, 1.0),
    (1.0, 2.0, 2.0, 2.0, 1.0),
    (1.0, 1.0, 1.0, 1.0, 1.0),
)


class JND(nn.Module):
    """Pictures (B, 3, H, W) in [0, 1] -> the change that each pixel and colour hides, (B, 3, H, W) in [0, 1].

    The kernels are fixed, but part of Meta's state dict.
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_x = _fixed(SOBEL)
        self.conv_y = _fixed(tuple(reversed(tuple(zip(*SOBEL, strict=True)))))
        self.conv_lum = _fixed(SURROUND)

    def forward(self, images: Tensor) -> Tensor:
        red, green, blue = (images * 255).chunk(3, dim=1)
        levels = LUMA[0] * red + LUMA[1] * green + LUMA[2] * blue  # in this order, which keeps a flat 127 at 127
        adaptation, masking = self._adaptation(levels), self._masking(levels)
        hidden = adaptation + masking - OVERLAP * torch.minimum(adaptation, masking)
        return hidden.clamp(min=0) * images.new_tensor(BLUE).view(1, 3, 1, 1) / 255

    def _adaptation(self, levels: Tensor) -> Tensor:
        """Luminance adaptation: dark and bright surroundings hide more."""
        surround = self.conv_lum(levels) / 32
        dark = 17 * (1 - (surround / TURN + 1e-5).sqrt())
        return torch.where(surround <= TURN, dark, 3 / 128 * (surround - TURN) + 3)

    def _masking(self, levels: Tensor) -> Tensor:
        """Contrast masking: edges hide more."""
        squared = self.conv_x(levels).square() + self.conv_y(levels).square()
        output: Tensor = BETA * 16 * squared.pow(1.2) / (squared + 26**2)
        return output


def _fixed(kernel: tuple[tuple[float, ...], ...]) -> nn.Conv2d:
    """A convolution of one channel with a kernel that is not trained, zeros around the picture."""
    side = len(kernel)
    convolution = nn.Conv2d(1, 1, side, padding=side // 2, bias=False)
    convolution.weight = nn.Parameter(torch.tensor(kernel)[None, None], requires_grad=False)
    return convolution
