"""Meta's WAM extractor: normalised picture -> mask logit and 32 bit logits of every pixel.

The image encoder is the one of Segment Anything (Kirillov et al., 2023; ViTDet, Li et al., 2022) at 256 pixels, from
the package ``segment-anything``; names of modules are those of the published weights.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wam.packages import require
from wam.signal.specification import BITS

SIDE = 256  # pixels of the square that pictures are scaled to
DIMENSION = 768  # of the tokens
STEPS = ((768, 192, 4), (192, 96, 2), (96, 48, 2))  # channels in and out, and enlargement


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each place: (B, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, features: Tensor) -> Tensor:
        centred = features - features.mean(1, keepdim=True)
        normal = centred / (centred.square().mean(1, keepdim=True) + 1e-6).sqrt()
        return self.weight[:, None, None] * normal + self.bias[:, None, None]


class Enlarge(nn.Module):
    """Bilinear enlargement, then a convolution with reflected borders: (B, in, H, W) -> (B, out, nH, nW)."""

    def __init__(self, inside: int, outside: int, factor: int) -> None:
        super().__init__()
        self.upsample_block = nn.Sequential(
            nn.Upsample(scale_factor=factor, mode="bilinear", align_corners=False),
            nn.ReflectionPad2d(1),
            nn.Conv2d(inside, outside, 3, bias=False),
            ChannelNorm(outside),
            nn.GELU(),
        )

    def forward(self, features: Tensor) -> Tensor:
        output: Tensor = self.upsample_block(features)
        return output


class PixelDecoder(nn.Module):
    """Tokens (B, 768, 16, 16) -> logits (B, 33, 256, 256)."""

    def __init__(self) -> None:
        super().__init__()
        self.output_upscaling = nn.Sequential(*(Enlarge(*step) for step in STEPS))
        self.last_layer = nn.Conv2d(STEPS[-1][1], 1 + BITS, 1)

    def forward(self, tokens: Tensor) -> Tensor:
        output: Tensor = self.last_layer(self.output_upscaling(tokens))
        return output


class MetaExtractor(nn.Module):
    """Normalised pictures (B, 3, 256, 256) -> logits (B, 33, 256, 256): channel 0 mask, 1 to 32 bits."""

    def __init__(self) -> None:
        super().__init__()
        require("segment_anything", "torchvision", needed_by="Meta's WAM")
        from segment_anything.modeling import ImageEncoderViT  # imports torchvision: only this model needs it

        self.image_encoder = (
            ImageEncoderViT(  # its default norm_layer has the eps of 1e-5 that the weights were made with
                img_size=SIDE,
                patch_size=16,
                embed_dim=DIMENSION,
                depth=12,
                num_heads=12,
                mlp_ratio=4,
                out_chans=DIMENSION,
                qkv_bias=True,
                use_rel_pos=True,
                global_attn_indexes=(2, 5, 8, 11),
                window_size=8,
            )
        )
        self.pixel_decoder = PixelDecoder()

    def forward(self, images: Tensor) -> Tensor:
        output: Tensor = self.pixel_decoder(self.image_encoder(images))
        return output
