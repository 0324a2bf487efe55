"""The hand-made extractor: no weights, and still good enough to read a photo."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from tests.wam.conftest import SAMPLES
from tests.wam.synthetic import message
from wam.detection.config import SynchronizationConfig
from wam.detection.synchronization import at_pose
from wam.networks.baseline_extractor import HandmadeExtractor
from wam.networks.embedder import Embedder
from wam.networks.watermark_network import WatermarkModel
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.watermarker import to_batch


@pytest.mark.parametrize("name", ["ice", "dragonfly", "dune", "cat", "staircase", "telephone"])
def test_reads_32_bits_of_every_sample_at_40_db(carrier: Carrier, name: str) -> None:
    photo = Image.open(SAMPLES / f"{name}.jpg").convert("RGB").reduce(4)
    model = WatermarkModel(Embedder(), HandmadeExtractor(), [carrier])
    with torch.no_grad():
        marked = (model.mark(to_batch(photo), message(0), psnr_db=40.0) * 255).round() / 255
    pose = Pose.upright(max(1.0, min(photo.size) / 256))
    read = at_pose(HandmadeExtractor()(marked).pattern[0, 0], pose, carrier, SynchronizationConfig())
    assert torch.equal((read.bit_votes > 0).long(), message(0)[0])


def test_the_mask_is_undecided() -> None:
    output = HandmadeExtractor()(torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0)))
    assert output.mask_logits.shape == output.pattern.shape == (1, 1, 20, 30)
    assert not output.mask_logits.any()


def test_there_is_nothing_to_load() -> None:
    assert not HandmadeExtractor().state_dict()
