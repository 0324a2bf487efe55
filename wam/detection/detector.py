"""The search: a picture of any size -> every watermark in it, with pose, bits and mask.

The picture is looked at from a pyramid of resolutions, since a piece that was enlarged or reduced has to come near the
scale the extractor knows. The usual case, a whole picture as it was marked, ends after one network pass and one
projection; everything else is searched level by level, each level again and again until nothing more is found. At the
usual resolution, where nothing sure is found, the picture is taken for a negative or one out of focus, too.
"""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor

from wam.detection.config import DEFAULT_SEARCH, PyramidConfig, SearchConfig
from wam.detection.crop import Part
from wam.detection.level_search import Candidate, LevelPlan, Refuted, promising, search_level
from wam.detection.merging import Found, join_parts
from wam.detection.perspective_proposals import outlined_bend
from wam.detection.phase_reversal import NEGATIVE, Reversal, likeliest
from wam.detection.pyramid import view_sizes
from wam.detection.removal_traces import SUSPICIOUS, missing_energy
from wam.detection.sliding_windows import Box, Measured, Window
from wam.detection.small_regions import enlarged, small_windows
from wam.detection.view import Tally, Unexplained, View
from wam.networks.extractor import ExtractorOutput
from wam.networks.watermark_network import WatermarkModel
from wam.signal.filters import box_max, resize, sized
from wam.signal.pose import Pose
from wam.signal.specification import WORKING_SIDE
from wam.stages import tell

T = TypeVar("T")
TOGETHER = 1_500_000  # pixels of views that go through the extractor in one batch on a CPU: more are no sooner done
TOGETHER_DEVICE = 16_000_000  # the same elsewhere: memory goes with them
SURE = 2.0  # times the threshold from which a mark is no part of one whose signs are to be put right


@dataclass(frozen=True)
class SearchResult:
    """``tried``: regions synchronised, the search's own count of chances to be wrong; ``strongest`` joint score that a
    region reached at one pose, before messages are told apart; ``views`` (height, width), a network pass each;
    ``cut_short``: the time was over before all was looked at; ``suspicious``: nothing was found, and energy is missing
    where a pattern would lie (``removal_traces``)."""

    found: tuple[Found, ...]
    strongest: float
    tried: int
    views: tuple[tuple[int, int], ...] = ()
    cut_short: bool = False
    suspicious: bool = False


@torch.inference_mode()
def search(
    model: WatermarkModel,
    image: Tensor,
    *,
    threshold: float,
    thorough: bool = False,
    usual_only: bool = False,
    seconds: float | None = None,
    config: SearchConfig = DEFAULT_SEARCH,
) -> SearchResult:
    """Every watermark of one picture (3, H, W) float in [0, 1]; in single precision but for the networks.

    ``threshold``: joint score from which a region is read, of a calibration that was made with the same ``config``.
    ``usual_only``: at the usual resolution, where pictures show their mark that lie in the file as they were marked.
    ``seconds``: wall time after which no further look begins; what was found until then is given.
    """
    (result,) = search_many(
        model,
        [image],
        threshold=threshold,
        thorough=thorough,
        usual_only=usual_only,
        seconds=seconds,
        config=config,
    )
    return result


@torch.inference_mode()
def search_many(
    model: WatermarkModel,
    images: Sequence[Tensor],
    *,
    threshold: float,
    thorough: bool = False,
    usual_only: bool = False,
    seconds: float | None = None,
    config: SearchConfig = DEFAULT_SEARCH,
) -> list[SearchResult]:
    """As ``search`` of each picture (3, H, W), of any sizes on one device; views of one size go through the extractor
    together, up to ``TOGETHER`` pixels. ``seconds`` for all of them. Every picture and its view are held until the last
    is done: callers give no more at once than there is memory for."""
    results: list[SearchResult | None] = [None] * len(images)
    with ExitStack() as stack:
        if images:
            stack.enter_context(torch.autocast(images[0].device.type, enabled=False))
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        waiting: list[Waiting] = []
        for number, image in enumerate(images):
            steps = _Search(model, image, threshold, thorough, config, Tally(deadline=deadline)).run(usual_only)
            waiting.append((number, steps, next(steps)))
        while waiting:
            batch, waiting = _of_one_size(waiting)
            views = [view for _, _, view in batch]
            output = model.extract(views[0] if len(views) == 1 else torch.cat(views))  # a large one is not copied
            for place, (number, steps, _) in enumerate(batch):
                own = ExtractorOutput(*(part[place : place + 1] for part in (output.pattern, output.mask_logits)))
                try:
                    waiting.append((number, steps, steps.send(own)))
                except StopIteration as end:
                    results[number] = end.value
    return [result for result in results if result is not None]


def _of_one_size(waiting: list[Waiting]) -> tuple[list[Waiting], list[Waiting]]:
    """Views that go through the network together: those like the first, and all others."""
    first = waiting[0][2]
    together = TOGETHER if first.device.type == "cpu" else TOGETHER_DEVICE
    most = max(1, together // (first.shape[-2] * first.shape[-1]))
    batch: list[Waiting] = []
    others: list[Waiting] = []
    for one in waiting:
        (batch if one[2].shape == first.shape and len(batch) < most else others).append(one)
    return batch, others


Looks = Generator[Tensor, ExtractorOutput, T]  # yields views, is sent what the extractor makes of each
Steps = Looks[SearchResult]
Waiting = tuple[int, Steps, Tensor]  # number of a picture, its search, and the view that it waits for


@dataclass(frozen=True)
class _Look:
    """A view as it was looked at: with each carrier, and its windows as they were measured."""

    image: Tensor
    output: ExtractorOutput
    measured: Measured

    def without(self, reversal: Reversal, scale: float) -> _Look:
        """The same with signs put right: the extractor would make nearly that of a picture without the reversal, and
        windows repeat as they do."""
        return replace(self, output=replace(self.output, pattern=reversal.undone(self.output.pattern, scale)))


class _Search:
    """One picture, what was found in it so far, and which part of it that explains."""

    def __init__(
        self,
        model: WatermarkModel,
        image: Tensor,
        threshold: float,
        thorough: bool,
        config: SearchConfig,
        tally: Tally,
    ) -> None:
        self.config, self.tally = config, tally
        self.model, self.image, self.threshold, self.thorough = model, image, threshold, thorough
        self.size = (int(image.shape[-2]), int(image.shape[-1]))
        self.usual = min(WORKING_SIDE, *self.size)
        self.seen = resize(image[None], sized(*self.size, self.usual))
        self.black = empty(self.seen, config.pyramid)
        self.explained = self.black.float()[None, None]
        self.found: list[Found] = []
        self.views: list[tuple[int, int]] = []
        self.finest: _Look | None = None  # the finest view that is not enlarged
        self.finest_side = 0  # short side of the finest view, pixels

    def run(self, usual_only: bool) -> Steps:
        """Yields each view (1, 3, H, W) that the extractor has to see, and goes on with what it makes of it."""
        sizes = list(view_sizes(*self.size, self.config.pyramid))
        self.finest_side = max(side for side, _ in sizes)
        usual = [number for number, (side, _) in enumerate(sizes, start=1) if side in (self.usual, WORKING_SIDE)]
        last = max(usual, default=1) if usual_only else len(sizes)
        for number, (short_side, size) in enumerate(sizes, start=1):
            tell(f"resolution {number} of {last}")
            yield from self._look(short_side, size)
            if self._done() or (usual_only and (self.found or number == last)):
                break
            if number < len(sizes) and self.tally.over:
                break
        else:
            if self.finest is not None:
                yield from self._look_closer(self.finest)
        joined = tuple(join_parts(self.found, self.size, self.config))
        tally = self.tally
        missing = None if joined else missing_energy(self.seen)
        suspicious = missing is not None and missing < SUSPICIOUS
        return SearchResult(joined, tally.strongest, tally.tried, tuple(self.views), tally.cut_short, suspicious)

    def _done(self) -> bool:
        """Whether nothing more is looked for."""
        own = self.config.pyramid
        if len(self.found) >= own.most_marks:
            return True
        return bool(self.found) and not self.thorough and _explains(self.explained[0, 0], self.seen, self.black, own)

    def _look(self, short_side: int, size: tuple[int, int]) -> Looks[None]:
        """One view of the whole picture: (height, width)."""
        image = self.seen if size == self.seen.shape[-2:] else resize(self.image[None], size)
        look = _Look(image, (yield image), Measured())
        if self.usual == WORKING_SIDE and (self.finest is None or image.numel() > self.finest.image.numel()):
            self.finest = look
        self.views.append(size)
        own = self.config.pyramid
        tilts = self.thorough or short_side in _tilt_levels(self.usual, self.config)
        plan = LevelPlan(
            expected=_expected(short_side, size, self.usual, self.image, own),
            small_parts=short_side in (self.usual, WORKING_SIDE),
            thorough=self.thorough,
            tilts=tilts,
            fine=short_side == self.finest_side,
            outlined=outlined_bend(image[0].amax(0) > own.black, self.config) if tilts else None,
        )
        self._search(look, plan)
        unsure = all(one.score < SURE * self.threshold for one in self.found)
        if plan.small_parts and unsure and not self.tally.over:
            self._search_reversed(look, plan.expected)

    def _search(self, look: _Look, plan: LevelPlan, *, part: Part | None = None) -> None:
        """One look with each carrier; ``part``: where it lies in the finest view, if it is one of that."""
        for index, carrier in enumerate(self.model.carriers):
            view = View(look.image, look.output, carrier, self.threshold, self.config, self.model.mask_head)
            left = Unexplained(self._left(look, part))
            limit = self.config.pyramid.most_marks - len(self.found)
            for candidate in search_level(view, left, plan, self.tally, look.measured, limit=limit):
                if part is None or self.finest is None:
                    self._keep(candidate, view.pattern, index, plan.reversal)
                else:
                    self._keep(_in_view(candidate, part), self.finest.output.pattern[0, 0], index)

    def _search_reversed(self, look: _Look, expected: Pose | None) -> None:
        """The usual look with signs put right, at what showed nothing, or nothing that is sure: bits that contradict
        themselves may look like a faint mark. What is found so stands in its place where it is the stronger."""
        faint, explained = self.found, self.explained
        if expected is not None:
            self.found, self.explained = [], self.black.float()[None, None]
            available = self._left(look, None)
            for carrier in self.model.carriers:
                view = View(look.image, look.output, carrier, self.threshold, self.config)
                reversal = likeliest(view, available, expected)
                if reversal is not None and not self.found:
                    whole = look.without(reversal, expected.scale)
                    self._search(whole, LevelPlan(expected=expected, reversal=reversal))
            self.tally.tried += 1  # a few signs at one pose, where a region is asked at thousands
        if _strongest(self.found) <= _strongest(faint):
            self.found, self.explained = faint, explained
        if not self.found:
            self._search(look.without(NEGATIVE, 1.0), LevelPlan(expected=expected, reversal=NEGATIVE))

    def _left(self, look: _Look, part: Part | None) -> Tensor:
        """Where nothing was found yet in a look: (H, W) 0 or 1."""
        if part is None:
            return self._available((look.image.shape[-2], look.image.shape[-1]))
        return (part.cut(self._available(part.size)[None, None])[0, 0] > 0.5).float()

    def _look_closer(self, finest: _Look) -> Looks[None]:
        """Small pieces in the finest view, enlarged: windows by themselves, and those that show promise once more with
        what is around them."""
        size = (finest.image.shape[-2], finest.image.shape[-1])
        glanced: set[Box] = set()
        done: list[Part] = []
        windows: list[Window] = []
        enough = 0 if self.thorough else self.config.level.refuted
        refuted = Refuted(enough, alike=self.config.lattice.alike)
        found = -1
        own = self.config.small_regions
        view = View(finest.image, finest.output, self.model.carriers[0], self.threshold, self.config)
        while len(self.found) < self.config.pyramid.most_marks and len(done) < own.looks and not self.tally.over:
            if len(self.found) > found:  # else they are what they were
                found = len(self.found)
                left = Unexplained(self._available(size))
                windows = small_windows(view, left, finest.measured, beside_others=found > 0)
            window = next((one for one in windows if self._worth_a_glance(one, glanced, done, refuted)), None)
            most = own.glances_beside_others if self.found else own.glances
            if window is None or len(glanced) >= most:
                return
            glanced.add(window.box)
            tell(f"small parts, {len(glanced)} of at most {most}")
            glance = enlarged(window.box, size, own)
            if not self._promising((yield from self._part(glance, finest)), glance):
                refuted.add(window.fine_lattice)
                continue
            part = enlarged(window.box, size, own, around=own.around)
            done.append(part)
            look = yield from self._part(part, finest)
            self._search(look, LevelPlan(thorough=self.thorough), part=part)

    def _worth_a_glance(self, window: Window, glanced: set[Box], done: list[Part], refuted: Refuted) -> bool:
        """Whether a window was not looked at in any way, nor enough others on its lattice in vain."""
        seen = window.box in glanced or any(part.holds(window.box) for part in done)
        return not seen and not refuted.holds(window.fine_lattice)

    def _part(self, part: Part, finest: _Look) -> Looks[_Look]:
        """A look at a part of the finest view."""
        shown = part.cut(finest.image).clamp(0, 1)
        self.views.append(part.shown)
        return _Look(shown, (yield shown), Measured())

    def _promising(self, look: _Look, part: Part) -> bool:
        """Whether a look at an enlarged window makes a mark of any carrier likely."""
        left = self._left(look, part)
        return any(
            promising(View(look.image, look.output, carrier, self.threshold, self.config), left, self.tally)
            for carrier in self.model.carriers
        )

    def _available(self, size: Sequence[int]) -> Tensor:
        """Where nothing was found yet: (H, W) 0 or 1."""
        return (F.interpolate(self.explained, size=tuple(size), mode="bilinear")[0, 0] < 0.5).float()

    def _keep(self, candidate: Candidate, pattern: Tensor, carrier: int, reversal: Reversal | None = None) -> None:
        """Takes a candidate up among what was found; its pose, bend and mask and the pattern (h, w) are of one view."""
        cluster, logits = candidate.cluster, candidate.cluster.mask_logits
        height, width = logits.shape
        full = candidate.pose.rescaled(self.size[1] / width, self.size[0] / height)
        whole = Found(
            cluster.votes,
            cluster.score,
            logits,
            full,
            pattern,
            carrier,
            candidate.bend,
            candidate.how,
            candidate.label,
            cluster.evidence,
            reversal,
        )
        self.found.append(whole)
        shown = F.interpolate(cluster.mask[None, None].float(), size=self.explained.shape[-2:], mode="bilinear")
        self.explained = torch.maximum(self.explained, shown)


def _in_view(candidate: Candidate, part: Part) -> Candidate:
    """A candidate of a part, as one of the view that it was cut from."""
    cluster, bend = candidate.cluster, candidate.bend
    return replace(
        candidate,
        pose=part.pose_in_view(candidate.pose),
        cluster=replace(cluster, mask_logits=part.logits_in_view(cluster.mask_logits)),
        bend=None if bend is None else part.bend_in_view(bend),
    )


def _strongest(found: Sequence[Found]) -> float:
    """The highest score of marks, 0.0 where there are none."""
    return max((one.score for one in found), default=0.0)


def _tilt_levels(usual: int, config: SearchConfig) -> list[int]:
    """Short sides of the levels on which views from an angle are tried, pixels."""
    return [usual, WORKING_SIDE][: config.perspective.levels]


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
