"""Several pictures at a time through ``Watermarker.embed_each``."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.wam.synthetic import message, smooth_picture, text
from wam.networks.embedder import Embedder
from wam.watermarker import Watermarker


class TestSeveralSizes:
    """Pictures that come to one working size go through the embedder together, with the same bytes as alone."""

    SIZES = ((512, 768), (600, 900), (256, 384), (128, 200), (300, 256), (512, 768))

    @pytest.mark.parametrize("strength", [None, 36.0])
    def test_bytes_are_those_of_one_by_one(self, shipped: Watermarker, strength: float | None) -> None:
        pictures = [smooth_picture(*size, seed=seed) for seed, size in enumerate(self.SIZES)]
        bits = [text(message(seed)) for seed in range(len(pictures))]
        together = shipped.embed_each(pictures, bits, strength=strength)
        for pixels, one, marked in zip(pictures, bits, together, strict=True):
            alone = shipped.embed(pixels, one, strength=strength).image
            assert isinstance(alone, np.ndarray)
            assert (marked == alone).all() and (marked != pixels).any()

    def test_the_embedder_runs_once_for_each_working_size(
        self, light: Watermarker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shapes: list[tuple[int, ...]] = []
        forward = Embedder.forward

        def counted(self: Embedder, images: torch.Tensor) -> torch.Tensor:
            shapes.append(tuple(images.shape))
            return forward(self, images)

        monkeypatch.setattr(Embedder, "forward", counted)
        pictures = [smooth_picture(*size) for size in self.SIZES]
        light.embed_each(pictures, [text(message(0))] * len(pictures))
        assert sorted(shapes) == [(1, 3, 128, 200), (1, 3, 300, 256), (4, 3, 256, 384)]

    def test_bad_input_is_refused_as_alone(self, light: Watermarker) -> None:
        pictures = [smooth_picture(64, 64), smooth_picture(64, 31)]
        with pytest.raises(ValueError, match="expected sides of at least 32 pixels, found 31x64"):
            light.embed_each(pictures, ["0" * 32] * 2)
        with pytest.raises(ValueError, match="strength: expected 30 to 55 dB, found 29"):
            light.embed_each(pictures[:1] * 2, ["0" * 32] * 2, strength=29)
