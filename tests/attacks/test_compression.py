"""Codecs against files that Pillow writes and reads."""

import io

import numpy as np
import pytest
import torch
from PIL import Image, features
from torch import Tensor

from attacks import compression, parse


@pytest.mark.parametrize("codec", ["jpeg", "webp", "avif"])
def test_agrees_with_a_saved_file(codec: str, photos: Tensor) -> None:
    if not features.check("jpg" if codec == "jpeg" else codec):
        pytest.skip(f"this Pillow has no {codec}")
    file = io.BytesIO()
    array = (photos[1] * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(file, codec, quality=60)
    expected = np.array(Image.open(file).convert("RGB"))
    found = parse(f"{codec}=60")(photos).images[1]
    assert np.array_equal((found * 255).round().byte().permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("codec", ["jpeg", "webp"])
def test_lower_quality_loses_more(codec: str, photos: Tensor) -> None:
    errors = [(parse(f"{codec}={quality}")(photos).images - photos).square().mean().item() for quality in (90, 50, 10)]
    assert errors == sorted(errors)


def test_gradient_passes_straight_through(photos: Tensor) -> None:
    images = photos.clone().requires_grad_()
    weights = torch.rand(photos.shape)
    (parse("jpeg=50")(images).images * weights).sum().backward()
    assert images.grad is not None
    assert torch.equal(images.grad, weights)


def test_a_missing_codec_says_what_to_install(photos: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression.features, "check", lambda name: False)
    with pytest.raises(ValueError, match="pip install"):
        parse("avif=50")(photos)
