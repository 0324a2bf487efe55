"""Meta's embedder: sizes, and each layer against a calculation of its own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tests.wam.models.meta.meta_weights import fill, slopes
from tests.wam.synthetic import message
from wam.models.meta.embedder import Attention, Downsample, Encoder, Messages, MetaEmbedder, ResidualBlock, Upsample


@pytest.fixture(scope="module")
def embedder() -> MetaEmbedder:
    model = MetaEmbedder()
    model.load_state_dict(fill(model))
    return model.eval()


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def embed(embedder: MetaEmbedder) -> tuple[torch.Tensor, torch.Tensor]:
    """Residual, and what the decoder was given."""
    joined = []
    hook = embedder.decoder.conv_in.register_forward_pre_hook(lambda _, inputs: joined.append(inputs[0]))
    with torch.no_grad():
        residual = embedder(slopes(256, 256), message(0))
    hook.remove()
    return residual, joined[0]


def test_as_many_parameters_as_published(embedder: MetaEmbedder) -> None:
    def count(part: nn.Module) -> int:
        return sum(weight.numel() for weight in part.parameters())

    parts = (embedder.encoder, embedder.msg_processor, embedder.decoder, embedder)
    assert [count(part) for part in parts] == [439_652, 4_096, 661_891, 1_105_639]


def test_sizes(embedder: MetaEmbedder) -> None:
    residual, joined = embed(embedder)
    assert joined.shape == (1, 68, 32, 32)
    assert residual.shape == (1, 3, 256, 256)
    assert float(residual.abs().mean()) > 0.1 and float(residual.abs().max()) <= 1


def test_a_message_is_the_sum_of_its_bits() -> None:
    messages = Messages()
    bits = torch.cat([message(0), message(1)])
    chosen = torch.stack([1 - bits, bits], dim=-1).flatten(1).float()  # index 2k + bit_k
    torch.testing.assert_close(messages(bits), chosen @ messages.msg_embeddings.weight)


def test_the_message_is_the_same_at_every_place(embedder: MetaEmbedder) -> None:
    latent, repeated = embed(embedder)[1].split([4, 64], dim=1)
    assert float(latent.std(dim=(2, 3)).min()) > 0
    torch.testing.assert_close(repeated, embedder.msg_processor(message(0))[..., None, None].expand(-1, -1, 32, 32))


def test_each_bit_changes_the_residual(embedder: MetaEmbedder) -> None:
    bits = message(0).repeat(33, 1)
    bits[torch.arange(32), torch.arange(32)] ^= 1
    with torch.no_grad():
        latent = embedder.msg_processor(bits)
    assert len(torch.unique(latent, dim=0)) == 33


def test_a_residual_block_without_convolutions_changes_nothing() -> None:
    block = ResidualBlock(32, 32)
    nn.init.zeros_(block.conv2.weight)
    nn.init.zeros_(block.conv2.bias)
    torch.testing.assert_close(block(noise(1, 32, 8, 8)), noise(1, 32, 8, 8))


def test_a_residual_block_step_by_step() -> None:
    block, features = ResidualBlock(32, 64), noise(2, 32, 8, 8)
    normal = (features - features.mean((2, 3), keepdim=True)) / (
        features.var((2, 3), unbiased=False, keepdim=True) + 1e-6
    ).sqrt()  # 32 groups of 32 channels: each its own
    change = block.conv1(normal * torch.sigmoid(normal))
    pairs = change.view(2, 32, 2, 8, 8)  # 32 groups of 64 channels: pairs
    mean, deviation = pairs.mean((2, 3, 4), keepdim=True), pairs.var((2, 3, 4), unbiased=False, keepdim=True)
    normal = ((pairs - mean) / (deviation + 1e-6).sqrt()).view(2, 64, 8, 8)
    expected = block.nin_shortcut(features) + block.conv2(normal * torch.sigmoid(normal))
    torch.testing.assert_close(block(features), expected)


def test_attention_step_by_step() -> None:
    attention, features = Attention(32), noise(1, 32, 4, 5)
    places = F.group_norm(features, 32, eps=1e-6)[0].flatten(1).T  # (20, 32)

    def project(layer: nn.Conv2d, values: torch.Tensor) -> torch.Tensor:
        assert layer.bias is not None
        return values @ layer.weight[:, :, 0, 0].T + layer.bias

    query, key, value = (project(layer, places) for layer in (attention.q, attention.k, attention.v))
    mixed = torch.softmax(query @ key.T / 32**0.5, dim=1) @ value
    expected = features + project(attention.proj_out, mixed).T.reshape(1, 32, 4, 5)
    torch.testing.assert_close(attention(features), expected)


def test_zeros_are_added_at_the_lower_right_only() -> None:
    layer = Downsample(1)
    nn.init.ones_(layer.conv.weight)
    nn.init.zeros_(layer.conv.bias)
    expected = torch.tensor([[9.0, 9, 6], [9, 9, 6], [6, 6, 4]])
    torch.testing.assert_close(layer(torch.ones(1, 1, 6, 6))[0, 0], expected)


def test_enlarging_repeats_pixels() -> None:
    layer, features = Upsample(2), noise(1, 2, 3, 4)
    repeated = features.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    torch.testing.assert_close(layer(features), layer.conv(repeated))


def test_the_latent_is_an_eighth() -> None:
    with torch.no_grad():
        assert Encoder()(torch.zeros(1, 3, 64, 96)).shape == (1, 4, 8, 12)
