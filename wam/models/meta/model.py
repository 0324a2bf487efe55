"""Meta's WAM (Watermark Anything, Sander et al., ICLR 2025) behind the toolkit's protocol.

Written from a description of the published model; its state dict has the same 432 keys and shapes. Pictures are scaled
to 256 x 256, whatever their proportions, so there is no pose to search: a mark is where it is in the file.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from wam.detection.localization import OUTSIDE
from wam.models.effort import USUAL, Effort
from wam.models.meta.embedder import MetaEmbedder
from wam.models.meta.extractor import SIDE, MetaExtractor
from wam.models.meta.jnd import JND
from wam.models.meta.message_clustering import Part, split_messages
from wam.models.protocol import Description, Finding, FoundPose
from wam.networks.precision import precision_of
from wam.networks.strength import USUAL_STRENGTH, strength_of
from wam.signal.filters import resize

ARCHITECTURE = "Meta WAM: autoencoder with JND (vae_small, jnd_1_3_blue), SAM ViT-B extractor (sam_base)"
MEAN = (0.485, 0.456, 0.406)  # of ImageNet, which the networks' inputs are normalised with
DEVIATION = (0.229, 0.224, 0.225)
SCALING = 2.0  # of the residual in normalised space (scaling_w); gives 38.3 dB on COCO in the paper's table 1
MOST_GAIN = 4.0  # times the published strength, whatever PSNR is asked: 12 dB

SHARE = 0.07  # of the pixels: a picture with more marked ones carries a watermark (paper, evaluation)
LOG10_FALSE_ALARM = math.log10(4e-4)  # the paper's false positive rate at that share, on COCO; none other is published
FAINT = 0.0  # below it nothing is known of the presence, but a word that is registered speaks for itself
CALIBRATION = {"share": SHARE, "log10_false_alarm": round(LOG10_FALSE_ALARM, 2), "basis": "published, COCO"}


def log10_presence(share: float) -> float:
    """log10 of the chance that an unmarked picture shows at least this share of marked pixels.

    Only one point is published: 0.04% at 7%. It is used as a bound for all larger shares, and nothing is claimed for
    smaller ones.
    """
    return LOG10_FALSE_ALARM if share > SHARE else 0.0


class MetaModel(nn.Module):
    """Implements ``Model``. Its state dict is that of the published weights.

    There are no keys: whoever has the weights can read and write marks.
    """

    def __init__(self, *, name: str = "random", licence: str | None = None, precision: str = "fp32") -> None:
        super().__init__()
        self.precision = precision_of(precision)
        self.embedder = MetaEmbedder()
        self.detector = MetaExtractor()
        self.attenuation = JND()
        self.description = Description(name, ARCHITECTURE, licence, LOG10_FALSE_ALARM, FAINT)

    def mark(
        self, images: Tensor, bits: Tensor, *, psnr_db: float | None = None, strength: str = USUAL_STRENGTH
    ) -> Tensor:
        """See ``Model.mark``. None keeps the published scaling, about 38 dB, less or more as the ``strength`` says; a
        PSNR scales the same residual."""
        louder: float = 10.0 ** (strength_of(strength).louder_db / 20.0)
        residual = self.residual(images, bits) * louder
        if psnr_db is not None:
            asked = 10.0 ** (-psnr_db / 20.0)
            shown = residual.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
            residual = residual * (asked / shown.clamp(min=1e-9)).clamp(max=MOST_GAIN)
        return (images + residual).clamp(0, 1)

    def residual(self, images: Tensor, bits: Tensor) -> Tensor:
        """What is added at the published strength: images (B, 3, H, W), bits (B, 32) -> (B, 3, H, W), in [0, 1] units.

        Scaling acts in normalised space, hence the deviations; the JND is taken at full resolution.
        """
        delta = self.embedder(normalise(resize(images, (SIDE, SIDE))), bits)
        delta = resize(delta, (int(images.shape[-2]), int(images.shape[-1])))
        output: Tensor = SCALING * images.new_tensor(DEVIATION).view(1, 3, 1, 1) * self.attenuation(images) * delta
        return output

    def extract(self, images: Tensor) -> Tensor:
        """Mask and bit logits at 256 x 256: images (B, 3, H, W) in [0, 1] -> (B, 33, 256, 256) float32."""
        inputs = normalise(resize(images, (SIDE, SIDE)))
        output: Tensor
        if self.precision is None:
            output = self.detector(inputs)
            return output
        with torch.autocast(images.device.type, dtype=self.precision):
            output = self.detector(inputs)
        return output.float()

    @torch.inference_mode()
    def find(self, image: Tensor, *, effort: Effort = USUAL) -> list[Finding]:
        """See ``Model.find``. One pass is all there is, whatever the ``effort``.

        ``score`` of a mark is its share of the picture; ``log10_p`` is judged by all marked pixels together, as in the
        paper.
        """
        logits = self.extract(image[None])[0].cpu()
        chance = log10_presence(float((logits[0] > 0).float().mean()))
        return [_finding(part, logits[0], chance) for part in split_messages(logits)]

    @torch.inference_mode()
    def per_pixel(self, image: Tensor) -> Tensor:
        """See ``Model.per_pixel``: the extractor's logits, enlarged."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return F.interpolate(self.extract(image[None]), size=size, mode="bilinear", align_corners=False)[0]


def normalise(images: Tensor) -> Tensor:
    """[0, 1] to zero mean and unit deviation of ImageNet, by colour."""
    return (images - images.new_tensor(MEAN).view(1, 3, 1, 1)) / images.new_tensor(DEVIATION).view(1, 3, 1, 1)


def _finding(part: Part, mask_logits: Tensor, chance: float) -> Finding:
    own = torch.where(part.mask, mask_logits, mask_logits.clamp(max=OUTSIDE))
    return Finding(
        logits=part.logits,  # trained as log-odds; their mean over the pixels claims no more than one pixel does
        score=float(part.mask.float().mean()),
        log10_p=chance,
        mask_logits=own,
        pose=FoundPose(),
    )
