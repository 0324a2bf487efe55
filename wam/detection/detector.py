"""The search: a picture of any size -> every watermark in it, with pose, bits and mask.

The picture is looked at from a pyramid of resolutions, since a piece that was enlarged or reduced has to come near the
scale the extractor knows. The usual case, a whole picture as it was marked, ends after one network pass and one
projection; everything else is searched level by level, each level again and again until nothing more is found.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import DEFAULT_SEARCH, PyramidConfig, SearchConfig
from wam.detection.crop import Part
from wam.detection.homography import Bend
from wam.detection.level_search import Candidate, LevelSearch
from wam.detection.merging import Found, join_parts
from wam.detection.perspective_proposals import outlined_bend
from wam.detection.sliding_windows import Box
from wam.detection.small_regions import enlarged, small_windows
from wam.networks.extractor import ExtractorOutput
from wam.networks.watermark_network import WatermarkModel
from wam.signal.filters import box_max, resize, sized
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.signal.specification import WORKING_SIDE
from wam.stages import tell


@dataclass(frozen=True)
class SearchResult:
    """``tried``: regions synchronised, the search's own count of chances to be wrong; ``strongest`` joint score that a
    region reached at one pose, before messages are told apart; ``views`` (height, width), a network pass each."""

    found: tuple[Found, ...]
    strongest: float
    tried: int
    views: tuple[tuple[int, int], ...] = ()


@torch.inference_mode()
def search(
    model: WatermarkModel,
    image: Tensor,
    *,
    threshold: float,
    thorough: bool = False,
    usual_only: bool = False,
    config: SearchConfig = DEFAULT_SEARCH,
) -> SearchResult:
    """Every watermark of one picture (3, H, W) float in [0, 1]; in single precision but for the networks.

    ``threshold``: joint score from which a region is read, of a calibration that was made with the same ``config``.
    ``usual_only``: at the usual resolution, where pictures show their mark that lie in the file as they were marked.
    """
    with torch.autocast(image.device.type, enabled=False):
        return _Search(model, image, threshold, thorough, config).run(usual_only)


class _Search:
    """One picture, what was found in it so far, and which part of it that explains."""

    def __init__(
        self, model: WatermarkModel, image: Tensor, threshold: float, thorough: bool, config: SearchConfig
    ) -> None:
        self.config = config
        self.model, self.image, self.threshold, self.thorough = model, image, threshold, thorough
        self.size = (int(image.shape[-2]), int(image.shape[-1]))
        self.usual = min(WORKING_SIDE, *self.size)
        self.seen = resize(image[None], sized(*self.size, self.usual))
        self.black = empty(self.seen, config.pyramid)
        self.explained = self.black.float()[None, None]
        self.found: list[Found] = []
        self.views: list[tuple[int, int]] = []
        self.finest: tuple[Tensor, ExtractorOutput] | None = None  # view and estimate, if that is not enlarged
        self.tried, self.strongest = 0, 0.0

    def run(self, usual_only: bool) -> SearchResult:
        sizes = list(view_sizes(*self.size, self.config.pyramid))
        for number, (short_side, size) in enumerate(sizes, start=1):
            tell(f"resolution {number} of {len(sizes)}")
            self._look(short_side, size)
            if self._done() or (usual_only and (self.found or short_side == WORKING_SIDE)):
                break
        else:
            if self.finest is not None:
                self._look_closer(*self.finest)
        joined = tuple(join_parts(self.found, self.size, self.config))
        return SearchResult(joined, self.strongest, self.tried, tuple(self.views))

    def _done(self) -> bool:
        """Whether nothing more is looked for."""
        own = self.config.pyramid
        if len(self.found) >= own.most_marks:
            return True
        return bool(self.found) and not self.thorough and _explains(self.explained[0, 0], self.seen, self.black, own)

    def _look(self, short_side: int, size: tuple[int, int]) -> None:
        """One view of the whole picture: (height, width)."""
        view = resize(self.image[None], size)
        output = self.model.extract(view)
        if self.usual == WORKING_SIDE and (self.finest is None or view.numel() > self.finest[0].numel()):
            self.finest = view, output
        self.views.append(size)
        own = self.config.pyramid
        tilts = self.thorough or short_side in _tilt_levels(self.config)
        outlined = outlined_bend(view[0].amax(0) > own.black, self.config) if tilts else None
        expected = _expected(short_side, size, self.usual, self.image, own)
        for index, carrier in enumerate(self.model.carriers):
            level = self._level(view, output, self._available(size), carrier, tilts=tilts, outlined=outlined)
            for candidate in level.run(expected, limit=own.most_marks - len(self.found)):
                self._keep(candidate, level.pattern, index)
            self._count(level)

    def _look_closer(self, view: Tensor, output: ExtractorOutput) -> None:
        """Small pieces in the finest view, enlarged: first windows that lie in no part that was looked at before."""
        pattern, size = output.pattern[0, 0], (view.shape[-2], view.shape[-1])
        done: dict[Box, Part] = {}
        windows: list[Box] = []
        found = -1
        own = self.config.small_regions
        while len(self.found) < self.config.pyramid.most_marks and len(done) < own.looks:
            if len(self.found) > found:  # else they are what they were
                found = len(self.found)
                windows = small_windows(pattern, self._available(size), self.config, beside_others=found > 0)
            left = [box for box in windows if box not in done]
            if not left:
                return
            window = next((box for box in left if not any(part.holds(box) for part in done.values())), left[0])
            tell(f"small parts, {len(done) + 1} of at most {own.looks}")
            done[window] = enlarged(window, size, own)
            self._look_at(done[window], view, pattern)

    def _look_at(self, part: Part, view: Tensor, pattern: Tensor) -> None:
        """A part of a view, whose estimate is ``pattern`` (H, W), for all carriers."""
        shown = part.cut(view).clamp(0, 1)
        output = self.model.extract(shown)
        self.views.append(part.shown)
        for index, carrier in enumerate(self.model.carriers):
            available = (part.cut(self._available(part.size)[None, None])[0, 0] > 0.5).float()
            level = self._level(shown, output, available, carrier)
            for candidate in level.run(None, limit=self.config.pyramid.most_marks - len(self.found)):
                self._keep(_in_view(candidate, part), pattern, index)
            self._count(level)

    def _available(self, size: Sequence[int]) -> Tensor:
        """Where nothing was found yet: (H, W) 0 or 1."""
        return (F.interpolate(self.explained, size=tuple(size), mode="bilinear")[0, 0] < 0.5).float()

    def _level(
        self,
        view: Tensor,
        output: ExtractorOutput,
        available: Tensor,
        carrier: Carrier,
        *,
        tilts: bool = False,
        outlined: Bend | None = None,
    ) -> LevelSearch:
        return LevelSearch(
            view,
            output,
            available,
            carrier,
            self.config,
            threshold=self.threshold,
            repetition=0.0 if self.thorough else self.config.pyramid.periodicity,
            head=self.model.mask_head,
            tilts=tilts,
            outlined=outlined,
        )

    def _keep(self, candidate: Candidate, pattern: Tensor, carrier: int) -> None:
        """Takes a candidate up among what was found; its pose, bend and mask and the pattern (h, w) are of one view."""
        cluster, logits = candidate.cluster, candidate.cluster.mask_logits
        height, width = logits.shape
        full = candidate.pose.rescaled(self.size[1] / width, self.size[0] / height)
        whole = Found(cluster.votes, cluster.score, logits, full, pattern, carrier, candidate.bend, candidate.how)
        self.found.append(whole)
        shown = F.interpolate(cluster.mask[None, None].float(), size=self.explained.shape[-2:], mode="bilinear")
        self.explained = torch.maximum(self.explained, shown)

    def _count(self, level: LevelSearch) -> None:
        self.tried += level.tried
        self.strongest = max(self.strongest, level.strongest)


def _in_view(candidate: Candidate, part: Part) -> Candidate:
    """A candidate of a part, as one of the view that it was cut from."""
    cluster, bend = candidate.cluster, candidate.bend
    return replace(
        candidate,
        pose=part.pose_in_view(candidate.pose),
        cluster=replace(cluster, mask_logits=part.logits_in_view(cluster.mask_logits)),
        bend=None if bend is None else part.bend_in_view(bend),
    )


def _tilt_levels(config: SearchConfig) -> list[int]:
    """Short sides of the levels on which views from an angle are tried, pixels."""
    return [round(WORKING_SIDE * config.pyramid.ratio**step) for step in range(config.perspective.levels)]


def _expected(short_side: int, size: tuple[int, int], usual: int, image: Tensor, config: PyramidConfig) -> Pose | None:
    """The pose in a view of ``size`` of a picture as it was marked at this size or, a thumbnail, before it was reduced;
    None where the extractor sees no pattern of that scale."""
    scale = min(size) / (usual if short_side <= usual else WORKING_SIDE)
    return Pose.upright(scale, device=image.device) if config.legible[0] < scale < config.legible[1] else None


def _explains(explained: Tensor, seen: Tensor, black: Tensor, config: PyramidConfig) -> bool:
    """Whether what was found covers nearly all of a picture (1, 3, h, w), or all but paper of one colour."""
    if float((explained > 0.5)[~black].float().mean()) > config.done:
        return True
    covered = box_max(explained, config.plain_window) > 0.5  # as wide around as places that are not blank
    return float(covered[~blank(seen, config)].float().mean()) > config.done


def empty(view: Tensor, config: PyramidConfig) -> Tensor:
    """Where a picture is plainly black over some pixels, as no marked place is: (1, 3, H, W) -> (H, W) bool."""
    return box_max(view.amax(1), config.plain_window)[0] <= config.black


def blank(view: Tensor, config: PyramidConfig) -> Tensor:
    """Where a picture is of one colour over some pixels, so that no mark is left: (1, 3, H, W) -> (H, W) bool."""
    side = config.plain_window
    return (box_max(view, side) + box_max(-view, side)).amax(1)[0] <= config.one_colour


def view_sizes(height: int, width: int, config: PyramidConfig) -> Iterator[tuple[int, tuple[int, int]]]:
    """The views of a picture of that size that are looked at: short side, and (height, width); at least one.

    None has more pixels than ``config.largest_view``: very long strips are only looked at reduced.
    """
    any_view = False
    for short_side in pyramid(min(height, width), config):
        size = sized(height, width, short_side)
        pixels = size[0] * size[1]
        enlarged = short_side > min(height, width) and pixels > config.largest_enlarged
        if pixels <= config.largest_view and not enlarged:
            any_view = True
            yield short_side, size
    if not any_view:
        short_side = max(8, int((config.largest_view * min(height, width) / max(height, width)) ** 0.5))
        yield short_side, sized(height, width, short_side)


def pyramid(short_side: int, config: PyramidConfig) -> Iterator[int]:
    """Short sides to look from: the usual one, coarser ones for enlarged pieces, finer ones for reduced pieces.

    A picture below the usual size may be a thumbnail of a larger one, and is looked at enlarged.
    """
    usual = min(WORKING_SIDE, short_side)
    yield usual
    if usual < WORKING_SIDE:
        yield WORKING_SIDE
    side = usual / config.ratio
    while side >= config.coarsest:
        yield round(side)
        side /= config.ratio
    side = usual * config.ratio
    while side * config.native < short_side:
        yield round(side)
        side *= config.ratio
    if short_side > usual * config.native:
        yield short_side  # as it is: a piece may be as small as the extractor can read
