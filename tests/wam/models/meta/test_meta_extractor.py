"""Meta's extractor: sizes, settings of the image encoder, and the pixel decoder against its properties."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tests.wam.models.meta.meta_weights import empty_model, fill
from wam.models.meta.extractor import ChannelNorm, Enlarge, MetaExtractor, PixelDecoder


@pytest.fixture(scope="module")
def extractor() -> MetaExtractor:
    return empty_model().detector


def test_the_packages_it_rests_on_import() -> None:
    import segment_anything
    import torchvision

    assert segment_anything.sam_model_registry and torchvision.__version__


def test_as_many_parameters_as_published(extractor: MetaExtractor) -> None:
    def count(part: nn.Module) -> int:
        return sum(weight.numel() for weight in part.parameters())

    encoder = extractor.image_encoder
    parts = (encoder.neck, extractor.pixel_decoder, extractor)
    assert [count(part) for part in parts] == [5_901_312, 1_536_753, 93_310_961]
    assert count(encoder) - count(encoder.neck) == 85_872_896


def test_the_image_encoder_is_set_as_published(extractor: MetaExtractor) -> None:
    encoder = extractor.image_encoder
    assert [block.window_size for block in encoder.blocks] == [8, 8, 0] * 4
    assert {block.norm1.eps for block in encoder.blocks} | {block.norm2.eps for block in encoder.blocks} == {1e-5}
    assert {block.attn.num_heads for block in encoder.blocks} == {12}
    assert [layer.eps for layer in encoder.neck if hasattr(layer, "eps")] == [1e-6, 1e-6]


def test_channels_are_normalised_at_each_place() -> None:
    from segment_anything.modeling.common import LayerNorm2d

    features = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(0))
    own, plain, other = ChannelNorm(5), nn.LayerNorm(5, eps=1e-6), LayerNorm2d(5)
    weights = {"weight": torch.linspace(0.5, 2, 5), "bias": torch.linspace(-1, 1, 5)}
    for layer in (own, plain, other):
        layer.load_state_dict(weights)
    torch.testing.assert_close(own(features), plain(features.permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
    torch.testing.assert_close(own(features), other(features))


def test_an_enlargement_step_by_step() -> None:
    step, features = Enlarge(6, 4, 2), torch.randn(1, 6, 3, 5, generator=torch.Generator().manual_seed(0))
    _, _, convolution, norm, _ = step.upsample_block
    large = nn.functional.interpolate(features, size=(6, 10), mode="bilinear")
    padded = torch.cat([large[:, :, 1:2], large, large[:, :, -2:-1]], dim=2)
    padded = torch.cat([padded[..., 1:2], padded, padded[..., -2:-1]], dim=3)
    expected = nn.functional.gelu(norm(nn.functional.conv2d(padded, convolution.weight)))
    torch.testing.assert_close(step(features), expected)


def test_the_pixel_decoder_has_no_border() -> None:
    """Bilinear enlargement and reflection keep a constant constant up to the edges."""
    decoder = PixelDecoder()
    decoder.load_state_dict(fill(decoder))
    with torch.no_grad():
        logits = decoder(torch.linspace(-1, 1, 768).view(1, 768, 1, 1).expand(1, 768, 4, 4))
    assert logits.shape == (1, 33, 64, 64)
    torch.testing.assert_close(logits, logits[..., :1, :1].expand_as(logits), atol=1e-4, rtol=1e-4)
    assert float(logits[0, :, 0, 0].std()) > 0.01
