"""Adapter for blind-watermark (guofei9987): DWT, DCT and SVD in blocks, passwords at their defaults."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from wam.bench.contenders import PeerContender

BITS = 32
LEAST_BLOCKS = BITS + 1  # of 8x8 pixels that the package wants for this many bits


class BlindWatermark(PeerContender):
    """The package's only method."""

    name = "blind-watermark"

    def __init__(self) -> None:
        with _start_method_kept():
            from blind_watermark import WaterMark, bw_notes
            from blind_watermark.bwm_core import one_dim_kmeans

        bw_notes.close()  # a greeting on standard output
        self._make: Any = WaterMark
        self._split: Any = one_dim_kmeans

    def embed_bgr(self, image: npt.NDArray[np.uint8], bits: list[int]) -> npt.NDArray[np.uint8]:
        marker = self._make()
        marker.read_img(img=image)
        marker.read_wm(np.array(bits, dtype=bool), mode="bit")
        return np.asarray(marker.embed()).round().astype(np.uint8)

    def read_bgr(self, image: npt.NDArray[np.uint8]) -> npt.ArrayLike | None:
        if (image.shape[0] // 8) * (image.shape[1] // 8) < LEAST_BLOCKS:
            return None
        marker = self._make()
        marker.wm_size = BITS
        means = marker.bwm_core.extract(img=image, wm_shape=BITS)
        if means.min() == means.max():  # a flat picture: the package's own k-means would divide by zero
            return None
        return np.asarray(marker.extract_decrypt(self._split(means).astype(float)))


@contextmanager
def _start_method_kept() -> Iterator[None]:
    """The package sets how processes start when it is imported, and fails where that is set, as in each worker."""
    before = multiprocessing.get_start_method(allow_none=True)
    multiprocessing.set_start_method(None, force=True)
    try:
        yield
    finally:
        multiprocessing.set_start_method(before, force=True)
