"""Meta's WAM embedder: picture and message -> residual in [-1, 1].

A small convolutional autoencoder in the manner of VQGAN (Esser et al., 2021) and latent diffusion (Rombach et al.,
2022); the message is joined to the latent. Names of modules are those of the published weights.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.signal.specification import BITS

CHANNELS = (32, 32, 32, 64)  # of the levels, from full resolution to an eighth
LATENT = 4  # channels
MESSAGE = 2 * BITS  # channels: the length of a bit's embedding


class ResidualBlock(nn.Module):
    """Normalise, swish, convolve, twice, added to the input: (B, in, H, W) -> (B, out, H, W)."""

    def __init__(self, inside: int, outside: int) -> None:
        super().__init__()
        self.norm1 = _norm(inside)
        self.conv1 = nn.Conv2d(inside, outside, 3, padding=1)
        self.norm2 = _norm(outside)
        self.conv2 = nn.Conv2d(outside, outside, 3, padding=1)
        self.nin_shortcut = nn.Identity() if inside == outside else nn.Conv2d(inside, outside, 1)

    def forward(self, features: Tensor) -> Tensor:
        change = self.conv1(F.silu(self.norm1(features)))
        change = self.conv2(F.silu(self.norm2(change)))
        output: Tensor = self.nin_shortcut(features) + change
        return output


class Attention(nn.Module):
    """Self-attention with one head over all places, added to the input: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = _norm(channels)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        normal = self.norm(features)
        query, key, value = (part(normal).flatten(2).transpose(1, 2)[:, None] for part in (self.q, self.k, self.v))
        attended = F.scaled_dot_product_attention(query, key, value)[:, 0]
        output: Tensor = features + self.proj_out(attended.transpose(1, 2).reshape(features.shape))
        return output


class Middle(nn.Module):
    """Block, attention, block at the coarsest level."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block_1 = ResidualBlock(channels, channels)
        self.attn_1 = Attention(channels)
        self.block_2 = ResidualBlock(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.block_2(self.attn_1(self.block_1(features)))
        return output


class Downsample(nn.Module):
    """Half the size; one row and column of zeros at the lower right only."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.conv(F.pad(features, (0, 1, 0, 1)))
        return output


class Upsample(nn.Module):
    """Twice the size."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.conv(F.interpolate(features, scale_factor=2.0, mode="nearest"))
        return output


class Level(nn.Module):
    """Blocks of one resolution; the change of size after them is added by encoder and decoder under its own name."""

    def __init__(self, inside: int, outside: int, *, blocks: int) -> None:
        super().__init__()
        self.block = nn.ModuleList(ResidualBlock(outside if i else inside, outside) for i in range(blocks))

    def forward(self, features: Tensor) -> Tensor:
        for block in self.block:
            features = block(features)
        for resample in ("downsample", "upsample"):
            if resample in self._modules:
                features = getattr(self, resample)(features)
        return features


class Encoder(nn.Module):
    """(B, 3, 256, 256) -> latent (B, 4, 32, 32)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(3, CHANNELS[0], 3, padding=1)
        inside = (CHANNELS[0], *CHANNELS[:-1])
        self.down = nn.ModuleList(Level(i, o, blocks=2) for i, o in zip(inside, CHANNELS, strict=True))
        for level, channels in zip(self.down[:-1], CHANNELS, strict=False):
            level.add_module("downsample", Downsample(channels))
        self.mid = Middle(CHANNELS[-1])
        self.norm_out = _norm(CHANNELS[-1])
        self.conv_out = nn.Conv2d(CHANNELS[-1], LATENT, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        features = self.conv_in(images)
        for level in self.down:
            features = level(features)
        output: Tensor = self.conv_out(F.silu(self.norm_out(self.mid(features))))
        return output


class Decoder(nn.Module):
    """Latent with message (B, 68, 32, 32) -> residual (B, 3, 256, 256) in [-1, 1]. ``up[0]`` is full resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_in = nn.Conv2d(LATENT + MESSAGE, CHANNELS[-1], 3, padding=1)
        self.mid = Middle(CHANNELS[-1])
        inside = (*CHANNELS[1:], CHANNELS[-1])
        self.up = nn.ModuleList(Level(i, o, blocks=3) for i, o in zip(inside, CHANNELS, strict=True))
        for level, channels in zip(self.up[1:], CHANNELS[1:], strict=True):
            level.add_module("upsample", Upsample(channels))
        self.norm_out = _norm(CHANNELS[0])
        self.conv_out = nn.Conv2d(CHANNELS[0], 3, 3, padding=1)

    def forward(self, latent: Tensor) -> Tensor:
        features = self.mid(self.conv_in(latent))
        for level in reversed(self.up):
            features = level(features)
        return torch.tanh(self.conv_out(F.silu(self.norm_out(features))))


class Messages(nn.Module):
    """Bits (B, 32) in {0, 1} -> the sum of their embeddings, (B, 64). The paper says mean; the weights need the sum."""

    def __init__(self) -> None:
        super().__init__()
        self.msg_embeddings = nn.Embedding(2 * BITS, MESSAGE)

    def forward(self, bits: Tensor) -> Tensor:
        places = 2 * torch.arange(BITS, device=bits.device)
        output: Tensor = self.msg_embeddings(places + bits.long()).sum(1)
        return output


class MetaEmbedder(nn.Module):
    """Normalised pictures (B, 3, 256, 256), bits (B, 32) in {0, 1} -> residual (B, 3, 256, 256) in [-1, 1]."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = Encoder()
        self.decoder = Decoder()
        self.msg_processor = Messages()

    def forward(self, images: Tensor, bits: Tensor) -> Tensor:
        latent = self.encoder(images)
        message = self.msg_processor(bits)[..., None, None].expand(-1, -1, *latent.shape[-2:])
        output: Tensor = self.decoder(torch.cat([latent, message], dim=1))
        return output


def _norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(32, channels, eps=1e-6)
