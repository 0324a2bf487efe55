"""How visible a mark is: the marked 8-bit picture against the input."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from wam.bench.perception import MODULES, absent, perceived
from wam.pictures.quality import ciede2000, psnr, ssim
from wam.signal.filters import to_pixels

ALWAYS = ("psnr_db", "ssim", "ms_ssim", "vif", "haarpsi", "ciede2000")  # figures that need no extra package
SMALLEST_FOR_SCALES = 161  # pixels: short side that MS-SSIM's five scales and window of 11 need
SMALLEST_FOR_VIF = 41  # pixels: the same for VIF


@torch.inference_mode()
def quality(marked: Tensor, original: Tensor) -> dict[str, float | None]:
    """PSNR in dB, SSIM, MS-SSIM, VIF, HaarPSI, the mean CIEDE2000, ColorVideoVDP and FLIP of two (1, 3, H, W) of 8-bit
    values in [0, 1]; None where a picture is too small, and for the PSNR of equal ones. What ``perception`` has no
    package for is left out.

    HaarPSI (Reisenhofer et al., 2018) and VIF (Sheikh and Bovik, 2006, pixel domain) model perception without learned
    weights, so that they work offline; they and MS-SSIM by piq.
    """
    from piq import haarpsi, multi_scale_ssim, vif_p

    first, second = to_pixels(marked[0]), to_pixels(original[0])
    found = psnr(first, second)
    short = min(original.shape[-2:])
    return {
        "psnr_db": found if math.isfinite(found) else None,
        "ssim": ssim(first, second),
        "ms_ssim": float(multi_scale_ssim(marked, original, data_range=1.0)) if short >= SMALLEST_FOR_SCALES else None,
        "vif": float(vif_p(marked, original, data_range=1.0)) if short >= SMALLEST_FOR_VIF else None,
        "haarpsi": float(haarpsi(marked, original, data_range=1.0)),
        "ciede2000": ciede2000(first, second),
        **perceived(first, second),
    }


def is_complete(values: Mapping[str, object]) -> bool:
    """Whether a quality that was kept has all that would be measured today: packages may have come since."""
    return {*ALWAYS, *MODULES} - set(absent()) <= values.keys()
