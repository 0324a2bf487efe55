"""Embedder and extractor as they are trained together, and what their training minimises."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.models.checkpoints import Checkpoint, build_extractor
from wam.networks.embedder import Embedder, scale_evenly
from wam.networks.extractor import STRIDE, Extractor, ExtractorOutput
from wam.networks.perceptual import jnd
from wam.networks.unet_extractor import UNetExtractor
from wam.signal.pattern import Carrier
from wam.training.losses import bit_accuracy, bit_loss, correlation, pattern_loss, pooled_bit_logits
from wam.training.scenes import Difficulty, Scene, make_scene
from wam.training.settings import Settings

MASK_WEIGHT = 0.05  # mask cross-entropy beside a pattern error of about 0.5
VISIBLE_WEIGHT = 0.03  # price of residual energy per squared JND at the usual strength, lest it goes where eyes look
TEMPERATURE = 0.7  # of bit logits in the cross-entropy


class Pair(nn.Module):
    """All networks in one module, so that one wrapper synchronises them. ``small``: a second extractor that learns on
    the same scenes, from the first and the truth; None: there is none."""

    embedder: Embedder
    extractor: nn.Module
    small: nn.Module | None

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.embedder = Embedder()
        self.extractor = build_extractor(**settings.shape)
        self.small = None if settings.small_shape is None else build_extractor(**settings.small_shape)

    def take_weights(self, checkpoint: Checkpoint) -> None:
        """Starts from a trained checkpoint; raises ``ValueError`` for one of another size. An embedder without weights
        gives none: scenes are drawn around the plain JND."""
        try:
            if isinstance(checkpoint.embedder, Embedder):
                self.embedder.load_state_dict(checkpoint.embedder.state_dict())
            self.extractor.load_state_dict(checkpoint.extractor.state_dict())
        except RuntimeError as error:
            reason = " ".join(str(error).split())
            raise ValueError(
                f"{checkpoint.path}: expected networks of the run's size, found others: {reason}"
            ) from error

    def constrain(self, settings: Settings) -> None:
        """Takes away what the settings leave out, for good: the gain's correction, the extractor's high-pass input, and
        where only the small extractor learns, the gradients of the others."""
        if not settings.learned_gain:
            for parameter in self.embedder.head.parameters():
                nn.init.zeros_(parameter)
        if not settings.high_pass and isinstance(self.extractor, Extractor | UNetExtractor):
            weight = self.extractor.stem.weight
            seen = torch.ones_like(weight)
            seen[:, 3 * STRIDE**2 :] = 0  # after R, G and B
            with torch.no_grad():
                weight.mul_(seen)
            weight.register_hook(lambda gradient: gradient * seen)
        if settings.frozen:
            self.embedder.requires_grad_(False)
            self.extractor.requires_grad_(False)

    def forward(
        self, content: Tensor, carrier: Carrier, level: float, generator: np.random.Generator, joint: bool
    ) -> tuple[Scene, list[ExtractorOutput], Tensor]:
        """A scene made of content (B, 3, C, C), what each extractor makes of it, and how visible the mark is."""
        with torch.set_grad_enabled(joint and self.training):
            gain = self.embedder(content)
            scene = make_scene(content, gain, carrier, Difficulty(level), generator)
            visible = (scale_evenly(gain, content) / jnd(content)).square().mean() if joint else gain.new_zeros(())
        view = scene.view.contiguous(memory_format=torch.channels_last)
        with torch.autocast(content.device.type, dtype=torch.bfloat16):
            outputs = [network(view) for network in (self.extractor, self.small) if network is not None]
        return scene, outputs, visible


def losses(
    scene: Scene, outputs: Sequence[ExtractorOutput], visible: Tensor, *, bit_weight: float, distilled: float = 0.0
) -> tuple[Tensor, dict[str, float]]:
    """Total loss and what the log shows; ``outputs`` of the extractor and, if there is one, the small one."""
    output = outputs[0]
    present = scene.mask.mean(dim=(1, 2, 3)) > 0.08
    logits = pooled_bit_logits(output.pattern, scene.mask, scene.carrier, scene.matrix, scene.offset)
    pattern = pattern_loss(output.pattern, scene.pattern, scene.mask)
    mask = F.binary_cross_entropy_with_logits(output.mask_logits, scene.mask)
    bits = bit_loss(logits * TEMPERATURE, scene.bits, present)
    total = pattern + MASK_WEIGHT * mask + bit_weight * bits + VISIBLE_WEIGHT * visible
    report = {
        "pattern": float(pattern.detach()),
        "mask": float(mask.detach()),
        "bits": float(bits.detach()),
        "correlation": correlation(output.pattern.detach(), scene.pattern, scene.mask),
        "accuracy": bit_accuracy(logits.detach(), scene.bits, present),
    }
    for small in outputs[1:]:
        taught = F.mse_loss(small.pattern, output.pattern.detach())
        taught = taught + MASK_WEIGHT * F.binary_cross_entropy_with_logits(
            small.mask_logits, output.mask_logits.detach().sigmoid()
        )
        alone = pattern_loss(small.pattern, scene.pattern, scene.mask)
        alone = alone + MASK_WEIGHT * F.binary_cross_entropy_with_logits(small.mask_logits, scene.mask)
        total = total + distilled * taught + (1 - distilled) * alone
        report["small"] = correlation(small.pattern.detach(), scene.pattern, scene.mask)
    return total, report
