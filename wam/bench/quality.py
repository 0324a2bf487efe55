"""How visible a mark is: the marked 8-bit picture against the input."""

from __future__ import annotations

import math

import torch
from piq import haarpsi, multi_scale_ssim, ssim, vif_p
from torch import Tensor

SMALLEST_FOR_SCALES = 161  # pixels: short side that MS-SSIM's five scales and window of 11 need
SMALLEST_FOR_VIF = 41  # pixels: the same for VIF


@torch.inference_mode()
def quality(marked: Tensor, original: Tensor) -> dict[str, float | None]:
    """PSNR in dB, SSIM, MS-SSIM, VIF and HaarPSI of two (1, 3, H, W) in [0, 1]; None where a picture is too small.

    HaarPSI (Reisenhofer et al., 2018) and VIF (Sheikh and Bovik, 2006, pixel domain) model perception without learned
    weights, so that they work offline. All by piq.
    """
    error = float((marked.double() - original.double()).square().mean())
    short = min(original.shape[-2:])
    return {
        "psnr_db": -10 * math.log10(error) if error else None,
        "ssim": float(ssim(marked, original, data_range=1.0)),
        "ms_ssim": float(multi_scale_ssim(marked, original, data_range=1.0)) if short >= SMALLEST_FOR_SCALES else None,
        "vif": float(vif_p(marked, original, data_range=1.0)) if short >= SMALLEST_FOR_VIF else None,
        "haarpsi": float(haarpsi(marked, original, data_range=1.0)),
    }
