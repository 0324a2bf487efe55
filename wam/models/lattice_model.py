"""The toolkit's own model behind the common protocol: networks, carriers, search and calibration together."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from wam.detection.calibration import Calibration
from wam.detection.config import DEFAULT_SEARCH, SearchConfig
from wam.detection.dense_output import per_pixel
from wam.detection.detector import SearchResult, search_many
from wam.detection.merging import Found
from wam.detection.whole_reading import read_whole
from wam.models.effort import USUAL, Effort
from wam.models.protocol import Description, Finding, FoundPose, SearchSummary
from wam.networks.embedder import Embedder
from wam.networks.strength import USUAL_STRENGTH, strength_of
from wam.networks.visibility import PerceptualEmbedder
from wam.networks.watermark_network import WatermarkModel
from wam.signal.label import FOREIGN, Label
from wam.signal.mark_grid import Cell, room, working_side
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import TILE, WORKING_SIDE

ARCHITECTURE = "lattice carrier, embedder by perception or convolutional, convolutional extractor"
CELLS_PSNR = 42.0  # dB: marks in small cells need more than one mark in the whole picture


class LatticeModel(WatermarkModel):
    """Implements ``Model``. ``calibration`` tells when a score is a watermark and how sure a bit is; it holds for a
    search with the same ``config`` that it was made with."""

    takes_eight_bits = True

    def __init__(
        self,
        embedder: Embedder | PerceptualEmbedder,
        extractor: nn.Module,
        carriers: Sequence[Carrier],
        calibration: Calibration,
        *,
        name: str,
        licence: str | None = None,
        precision: str = "fp32",
        mask_head: nn.Module | None = None,
        config: SearchConfig = DEFAULT_SEARCH,
        signal: str | None = None,
        same_as: tuple[str, ...] = (),
    ) -> None:
        super().__init__(embedder, extractor, carriers, precision=precision, mask_head=mask_head)
        self._unlabelled = tuple(carriers)  # that carriers with labels are made of
        self.calibration = calibration
        self.config = config
        presence = config.presence
        self.description = Description(
            name,
            ARCHITECTURE,
            licence,
            presence.reported_log10_p,
            presence.looked_up_log10_p,
            keyed=True,
            signal=signal,
            search=config.digest(),
            same_as=same_as,
        )

    def marking_as(self, label: Label | None) -> LatticeModel:
        """See ``Labels.marking_as``; of every key."""
        return self._with_carriers([one.with_label(label) for one in self._unlabelled])

    def knowing(self, labels: Sequence[Label]) -> LatticeModel:
        """See ``Labels.knowing``; with every key."""
        return self._with_carriers([one.knowing(labels) for one in self._unlabelled])

    def _with_carriers(self, carriers: Sequence[Carrier]) -> LatticeModel:
        """The same networks with other carriers."""
        other = copy.copy(self)
        other.carriers = list(carriers)
        return other

    def room(self, height: int, width: int) -> int:
        """See ``ManyMarks.room``."""
        return room(height, width)

    def mark_cells_each(
        self,
        images: Sequence[Tensor],
        bits: Sequence[Tensor],
        cells: Sequence[Sequence[Cell]],
        *,
        psnr_db: float | None = None,
        sides: Sequence[int] | None = None,
        strength: str = USUAL_STRENGTH,
    ) -> list[Tensor]:
        """See ``WatermarkModel.mark_cells_each``; ``sides`` None: those that give the cells enough room. By the first
        law it is ``CELLS_PSNR`` without a PSNR, whatever the picture, less what the ``strength`` is louder by."""
        if sides is None:
            sides = [
                working_side(int(image.shape[-2]), int(image.shape[-1]), len(own))
                for image, own in zip(images, cells, strict=True)
            ]
        if psnr_db is None and self.embedder.law == 1:
            psnr_db = CELLS_PSNR - strength_of(strength).louder_db
        return super().mark_cells_each(images, bits, cells, psnr_db=psnr_db, sides=sides, strength=strength)

    def find(self, image: Tensor, *, effort: Effort = USUAL) -> list[Finding]:
        """See ``Model.find``; a thorough search looks at every resolution even when a mark was found."""
        return self.find_and_explain(image, effort=effort)[0]

    def find_and_explain(self, image: Tensor, *, effort: Effort = USUAL) -> tuple[list[Finding], SearchSummary]:
        """See ``Explains.find_and_explain``."""
        return self.find_many([image], effort=effort)[0]

    def find_many(
        self, images: Sequence[Tensor], *, effort: Effort = USUAL
    ) -> list[tuple[list[Finding], SearchSummary]]:
        """See ``ManyPictures.find_many``."""
        threshold = self.calibration.threshold
        return [
            (
                self._findings(one, image),
                SearchSummary(one.views, one.tried, one.strongest, threshold, one.cut_short, one.suspicious),
            )
            for one, image in zip(self._search(images, effort), images, strict=True)
        ]

    def per_pixel(self, image: Tensor) -> Tensor:
        """See ``Model.per_pixel``."""
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return per_pixel(self._search([image], USUAL)[0].found, self.carriers, size, self.config)

    def read_whole(self, image: Tensor) -> Finding:
        """See ``ManyMessages.read_whole``."""
        found = read_whole(self, image, self.config)
        return Finding(
            logits=self.calibration.bit_logits(found.votes),
            score=found.score,
            log10_p=self.calibration.log10_presence(found.score),
            mask_logits=torch.ones((1, 1), device=image.device),
            pose=FoundPose(),
            how="expected pose",
            label=self.carriers[0].label,
            label_log10_p=min(0.0, -found.evidence / math.log(10)),
        )

    def _findings(self, result: SearchResult, image: Tensor) -> list[Finding]:
        size = (int(image.shape[-2]), int(image.shape[-1]))
        return [self._calibrate(found, size, result.tried) for found in result.found]

    def _search(self, images: Sequence[Tensor], effort: Effort) -> list[SearchResult]:
        return search_many(
            self,
            images,
            threshold=self.calibration.threshold,
            thorough=effort.thorough,
            usual_only=effort.quick,
            seconds=effort.seconds,
            config=self.config,
        )

    def _calibrate(self, found: Found, size: tuple[int, int], tried: int) -> Finding:
        expected = min(size) / min(WORKING_SIDE, *size)
        pose = found.pose
        labels = self.carriers[found.carrier].labels
        foreign = found.label == FOREIGN
        ways = 1 + len(labels) + foreign  # under each label, under none, and by the public half alone
        chance = self.calibration.log10_presence(found.score) + math.log10(max(tried, 1)) + math.log10(ways)
        own = found.label > 0
        return Finding(
            logits=self.calibration.bit_logits(found.votes),
            score=found.score,
            log10_p=min(0.0, chance),
            mask_logits=found.mask_logits,
            pose=FoundPose(
                round(pose.scale / expected, 4),
                round(pose.rotation_deg, 2) + 0.0,
                pose.flipped,
                placed=float(((pose.offset + TILE / 2) % TILE - TILE / 2).abs().max()) < self.config.presence.placed,
                to_pattern=None if found.bend is not None else _numbers(pose),
                negative=found.negative,
                out_of_focus=found.reversal is not None and not found.negative,
            ),
            key=found.carrier,
            how=found.how,
            label=labels[found.label - 1] if own else None,
            foreign=foreign,
            # under a wrong label a likelihood ratio of x or more has a chance of 1 / x at most
            label_log10_p=min(0.0, math.log10(len(labels)) - found.evidence / math.log(10)) if own else 0.0,
        )


def _numbers(pose: Pose) -> tuple[float, float, float, float, float, float]:
    """Matrix, row by row, and offset."""
    (a, b), (c, d) = pose.matrix.cpu().tolist()
    x, y = pose.offset.cpu().tolist()
    return a, b, c, d, x, y
