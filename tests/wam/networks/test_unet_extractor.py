"""The U-Net: sizes, what it sees, and that a checkpoint builds it again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from wam.models.checkpoints import load_checkpoint, save_checkpoint
from wam.networks.embedder import Embedder
from wam.networks.unet_extractor import UNetExtractor
from wam.signal.specification import SIGNAL


@pytest.fixture
def extractor() -> UNetExtractor:
    torch.manual_seed(0)
    network = UNetExtractor(channels=8, deep=12, blocks=1, deep_blocks=2).eval()
    for parameter in network.parameters():  # blocks start as nothing, which would hide mistakes
        torch.nn.init.normal_(parameter, std=0.1)
    return network


@pytest.mark.parametrize("size", [(32, 48), (33, 47), (5, 100), (1, 1)])
def test_the_output_has_the_size_of_the_picture(extractor: UNetExtractor, size: tuple[int, int]) -> None:
    output = extractor(torch.rand(2, 3, *size))
    assert output.pattern.shape == output.mask_logits.shape == (2, 1, *size)
    assert output.pattern.dtype == torch.float32


def test_a_part_far_from_its_border_reads_as_in_the_whole(extractor: UNetExtractor) -> None:
    image = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(1))
    whole, part = extractor(image).pattern, extractor(image[..., 64:, 64:]).pattern
    torch.testing.assert_close(whole[..., 144:, 144:], part[..., 80:, 80:], atol=1e-4, rtol=1e-4)


def test_a_fresh_network_says_little() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        said = UNetExtractor(channels=8, deep=8)(torch.rand(1, 3, 64, 64)).pattern
    assert 0 < float(said.abs().max()) < 0.3


def test_a_checkpoint_builds_it_again(extractor: UNetExtractor, tmp_path: Path) -> None:
    path = tmp_path / "unet.safetensors"
    save_checkpoint(path, Embedder(channels=4), extractor, {}, signal=SIGNAL)
    again = load_checkpoint(path).extractor
    assert isinstance(again, UNetExtractor) and again.shape == extractor.shape
    image = torch.rand(1, 3, 40, 40)
    torch.testing.assert_close(again(image).pattern, extractor(image).pattern, atol=0.02, rtol=0.02)  # float16
