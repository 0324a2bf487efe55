"""Adapter for invisible-watermark (ShieldMnt): dwtDct, dwtDctSvd and rivaGan, whose weights are in the wheel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wam.bench.contenders import PeerContender

SMALLEST = 256 * 256  # pixels: the package refuses smaller pictures


class InvisibleWatermark(PeerContender):
    """One method of the package at its defaults, 32 bits."""

    def __init__(self, method: str) -> None:
        from imwatermark import WatermarkDecoder, WatermarkEncoder

        self.name = self.method = method
        self._encoder_type = WatermarkEncoder
        self._decoder = WatermarkDecoder("bits", 32)
        if method == "rivaGan":
            WatermarkEncoder.loadModel()

    def embed_bgr(self, image: npt.NDArray[np.uint8], bits: list[int]) -> npt.NDArray[np.uint8]:
        encoder = self._encoder_type()
        encoder.set_watermark("bits", bits)
        return np.asarray(encoder.encode(image, self.method))

    def read_bgr(self, image: npt.NDArray[np.uint8]) -> npt.ArrayLike | None:
        if image.shape[0] * image.shape[1] < SMALLEST:
            return None
        return np.asarray(self._decoder.decode(image, self.method), dtype=float)
