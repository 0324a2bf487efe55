"""Every constant that decides what is found, by stage; functions are given the whole or their group of it.

A checkpoint's calibration holds for one set of values: ``SearchConfig.digest`` names the set, and a checkpoint that
was calibrated with another is refused. Bounds that only save memory or time, and change no result but for rounding,
stay where they act: windows measured together (``sliding_windows``), fields per group (``autocorrelation``), views in
one pass (``detector``), strips of large pictures (``wam.networks.watermark_network``). So do the windows of the mask
head's input, which belong to its weights, and the logit that stands for "not looked at" (``localization.OUTSIDE``),
which is a convention of the output. What came after the calibration, looks where the search found nothing
(``phase_reversal``, ``detector.SURE``) and traces of removal (``removal_traces``), keeps its constants too: the
search by these is as before.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field

from wam.signal.specification import LEVEL_RATIO, TILE

SEARCH_OF_0_2_0 = "0a4b917dcfd64d07"  # digest of the search of version 0.2.0, whose checkpoints name none
SEARCH_OF_0_3_0 = "4ade9941c4a6beba"  # that of version 0.3.0, which the shipped checkpoint was calibrated with


def _check(sound: bool, what: str, expected: str, found: object) -> None:
    """Raises ``ValueError`` where a value makes no sense."""
    if not sound:
        raise ValueError(f"search config, {what}: expected {expected}, found {found}; change it")


def _check_shares(group: object, *names: str) -> None:
    """Raises ``ValueError`` where one of the named values is not within 0 to 1."""
    for name in names:
        value = getattr(group, name)
        _check(0 <= value <= 1, name, "a share from 0 to 1", value)


@dataclass(frozen=True, kw_only=True)
class PyramidConfig:
    """The resolutions that a picture is looked at from, and when enough is explained."""

    most_marks: int = 32  # watermarks in one picture at most
    coarser: float = LEVEL_RATIO  # between short sides of levels below the usual one
    finer: float = 2.0  # at most, between those above it; each searches a range of scales a little wider
    native: float = 1.1  # times the usual short side that the picture's own has at least to be a level of its own
    largest_view: int = 12_000_000  # pixels of the largest view, whatever the shape of the picture
    largest_enlarged: int = 400_000  # pixels of a view that is larger than the picture: banners are no thumbnails
    coarsest: int = 56  # pixels: short side below which no level goes
    done: float = 0.85  # share of the picture that, once explained, ends the search
    legible: tuple[float, float] = (0.55, 1.8)  # pixels per working pixel between which a pattern is seen at all
    plain_window: int = 9  # pixels: side of the square over which a place is black or of one colour
    one_colour: float = 1.5 / 255  # range of values, of [0, 1], of a place without a picture
    black: float = 1.5 / 255  # brightest value, of [0, 1], of the corners that a turned or padded picture gets

    def __post_init__(self) -> None:
        _check(min(self.coarser, self.finer) > 1, "ratios", "more than 1", (self.coarser, self.finer))
        _check(self.coarsest >= 1, "coarsest", "at least 1 pixel", self.coarsest)
        _check(0 < self.legible[0] < self.legible[1], "legible", "two rising scales", self.legible)
        _check(self.plain_window % 2 == 1, "plain_window", "an odd number", self.plain_window)
        _check_shares(self, "done", "one_colour", "black")


@dataclass(frozen=True, kw_only=True)
class WindowsConfig:
    """Sliding windows, and which of them are worth a look."""

    side: int = 192  # pixels
    least_area: int = 4500  # pixels below which no mark is looked for: about four and a half tiles
    blank: float = 0.035  # root mean square of the estimate on blank paper: what the network makes of nothing
    # standard deviations of the comb from which lattices are proposed: of marked windows 1.5% are below, and of
    # ordinary unmarked ones 70%
    lift: float = 3.9
    one_window: float = 1.5  # times the side of a window that a level's long side has at most to be taken whole only

    def __post_init__(self) -> None:
        _check(self.side >= 2, "windows", "a side of at least 2 pixels", self.side)


@dataclass(frozen=True, kw_only=True)
class LatticeConfig:
    """Lattices on which the estimate repeats, from its autocorrelation."""

    scales: tuple[float, float] = (0.68, 1.5)  # pixels per working pixel that one pyramid level searches
    scale_step: float = 0.015  # relative; one pixel at the second lattice point
    angle_step: float = 0.9  # degrees; one pixel at the second lattice point
    candidates: int = 6  # lattices that go on from the comb
    pairs: int = 4  # lattices that go on from pairs of peaks
    stretch_step: float = 0.025  # relative, of each direction of upright lattices with an aspect of their own
    stretched: int = 3  # lattices that go on from those
    peaks: int = 14  # highest of the autocorrelation that lattices of any shear are made of
    peak_ring: tuple[float, float] = (0.55, 2.0)  # tiles: distance of those peaks from the middle
    most_stretch: float = 2.0  # times as long a picture may become one way as the other; sheared twins exceed it
    peak_window: int = 5  # steps of the comb, and pixels of lag: a peak is the highest within
    stretched_peak_window: int = 3  # steps: the same among lattices with an aspect
    reach: int = 2  # lattice points each way that a lattice is first scored by
    whitening_window: int = 9  # frequencies over which the power spectrum is averaged to divide by it
    whitening_floor: float = 0.5  # of the mean power, added to that average
    whitening_limit: float = 6.0  # times that average which a frequency counts at most
    # lattice points each way, pixels by which lattice vectors are moved there, and lattices that go on, step by step
    climb: tuple[tuple[int, tuple[float, ...], int], ...] = (
        (2, (1.2, 0.6), 8),
        (4, (0.4, 0.2), 5),
        (7, (0.12, 0.05), 2),
    )
    climb_rounds: int = 2  # moves of each size
    proposal_reach: int = 4  # lattice points each way by which the proposed lattices are compared
    # standard deviations of the autocorrelation by which a proposed lattice stands out from which the search goes on:
    # of marked windows 2% are below, of ordinary unmarked ones 95%
    proposal: float = 5.2
    # standard deviations of the autocorrelation by which a lattice stands out whose pilot is asked: of marked windows
    # 1% are below 5.8 and 5% below 7.3, of ordinary unmarked ones 99% below 6.4, of facades few
    prominence: float = 5.8
    alike: float = 0.06  # of a period: what lattices that are the same set of points may differ by
    joint_move: float = 0.7  # of a step: what turns, scalings and shears move each vector by

    def __post_init__(self) -> None:
        _check(0 < self.scales[0] < self.scales[1], "lattice scales", "two rising scales", self.scales)
        _check(min(self.scale_step, self.stretch_step, self.angle_step) > 0, "lattice steps", "more than 0", self)
        _check(self.peaks >= 2, "peaks", "at least 2", self.peaks)
        windows = (self.peak_window, self.stretched_peak_window, self.whitening_window)
        _check(all(side % 2 == 1 and side > 1 for side in windows), "lattice windows", "odd ones from 3 on", windows)


@dataclass(frozen=True, kw_only=True)
class SynchronizationConfig:
    """Pilot and joint evidence at a pose."""

    amplitudes: tuple[float, ...] = tuple(0.04 * step for step in range(1, 18))  # of limited votes, tried for a mark
    negative: float = -2.5  # standard deviations of pilot agreement below which there is no mark
    shifts: int = 64  # grid of shifts per tile side
    cells: int = 4 * TILE  # along a tile, that a field is added up in: a quarter of a working pixel
    judged: int = 12  # pairs of lattice and turn, by pilot, whose joint score is taken

    def __post_init__(self) -> None:
        _check(len(self.amplitudes) > 0 and min(self.amplitudes) > 0, "amplitudes", "positive ones", self.amplitudes)
        _check(self.shifts >= TILE, "shifts", f"at least {TILE}, two for each cycle", self.shifts)


@dataclass(frozen=True, kw_only=True)
class RefinementConfig:
    """Registration of a pose by the message's own pattern."""

    rounds: int = 3  # Gauss-Newton steps
    longest: float = 1.5  # working pixels: no step moves any pixel further
    ridge: float = 1e-4  # of the mean diagonal, added to the normal equations


@dataclass(frozen=True, kw_only=True)
class HomographyConfig:
    """Following a mark beyond its affine pose, block by block."""

    block: int = 64  # pixels: side of the windows that are matched, about two tiles
    spacing: int = 24  # pixels between their centres
    reach: int = 9  # pixels: displacement that is looked for; half a tile at most
    peak: float = 5.5  # standard deviations from which a match is believed: chance gives up to 4 among these shifts
    growth: float = 1.5  # of the radius in which blocks are believed, per round
    rounds: int = 7  # of matching blocks and fitting
    robust: float = 1.5  # pixels: residual at which a block counts half
    robust_rounds: int = 6  # of least squares, weighted anew by the residuals
    fewest: int = 6  # blocks that a fit needs
    nearest: float = 0.25  # smallest denominator: what is stretched more is not looked at
    worthwhile: float = 1.06  # times the score of the affine pose that a bent one must reach

    def __post_init__(self) -> None:
        _check(self.block % 2 == 0, "homography block", "an even number of pixels", self.block)
        _check(0 < self.reach < self.block // 2, "homography reach", "less than half a block", self.reach)
        _check(self.nearest > 0, "nearest", "more than 0", self.nearest)


@dataclass(frozen=True, kw_only=True)
class PerspectiveConfig:
    """Views from an angle: tried tilts, and the outline of a picture on black."""

    levels: int = 1  # from the usual one on, finer ones: those that tilts are tried on
    extents: tuple[float, ...] = (0.2, 0.4)  # tilts that are tried: change of scale from the middle to a corner
    directions: int = 8  # of each
    least_tilt: float = 0.02  # change of scale below which a picture is read as it is
    solid: float = 0.93  # share of its hull that an outlined picture fills at least
    covered: float = 0.98  # share of the four-sided outline that the hull fills at least
    shortest: float = 0.1  # of the longest side that the shortest has at least: triangles have no bend
    framed: float = 0.97  # share of the view that an outlined picture fills at most

    def __post_init__(self) -> None:
        _check_shares(self, "solid", "covered", "shortest", "framed")


@dataclass(frozen=True, kw_only=True)
class LevelConfig:
    """One level: which proposed poses are looked into, and what is read whole."""

    refined: int = 3  # best poses of a synchronisation that are refined before they are judged
    read: int = 2  # of those that are read at most
    pilot: float = 5.7  # standard deviations of pilot agreement from which a pose is looked into: chance gives up to 5
    expected_pilot: float = 3.8  # the same for the expected pose, which is one chance, not thousands
    worth_refining: float = 0.8  # share of either bound from which refinement is tried
    whole_at_once: int = 200_000  # pixels of a level whose lattices come from one transform, not from its windows
    largest_whole: int = 3_000_000  # pixels of a level that is read as a whole; larger ones window by window
    longest_whole: int = 8192  # pixels of a side of the same: memory goes with it
    # pixels beyond a window that a mark found in it is read in, one after another as long as it goes on there, then in
    # the whole of a level that is read so: larger ones show on a coarser level
    around: tuple[int, ...] = (96, 200, 400)
    border: int = 8  # pixels within which a mark goes on beyond what it was read in
    most_windows: int = 200  # of a level that are synchronised, most repetitive first
    # windows that show no promise at one lattice after which others on it are left out: facades, halftones and text
    # repeat all over but carry no pilot
    refuted: int = 3
    promise: float = 0.85  # share of either bound up to which a window shows none
    drift: float = 0.012  # relative change of a pose by refinement that an expected pose may have
    tilted: int = 2  # views from an angle that are synchronised, most repetitive first
    rest: float = 0.08  # share of what was available below which what the expected pose leaves is not looked into
    unbent: float = 0.1  # share of what is available that may stay unexplained without looking for a bend

    def __post_init__(self) -> None:
        _check(min(self.pilot, self.expected_pilot) > 0, "pilot bounds", "more than 0", self)
        _check_shares(self, "worth_refining", "rest", "unbent")


@dataclass(frozen=True, kw_only=True)
class SmallRegionsConfig:
    """Marked pieces reduced beyond what the levels are searched for."""

    finest: float = 0.42  # pixels per working pixel; below it too little of the pattern is left
    reach: int = 6  # lattice points each way by which fine lattices are compared
    candidates: int = 4  # lattices of the comb that are
    # standard deviations of the autocorrelation by which the best stands out from which a window is enlarged: of small
    # pieces 31% are below, of windows without one 99.5%
    standing: float = 6.0
    beside_others: float = 4.7  # the same where another mark was found: the rest is likely marked as well; 95%
    # ratio of fine- to coarse-lattice periodicity: up to .77 where the levels show a mark, whose lattice fills half the
    # points of one twice as fine; from .86 on where it is a small piece
    finer: float = 0.82
    enlarged: float = 1.75  # times the finest level, so that those scales come into the comb
    around: int = 96  # pixels around a window that are looked at with it, once it shows promise
    glances: int = 8  # windows of a picture that are enlarged, those first that stand out most
    glances_beside_others: int = 16  # the same where another mark was found
    looks: int = 12  # of those that are looked at with their surroundings

    def __post_init__(self) -> None:
        _check(self.finest > 0, "finest", "more than 0", self.finest)
        _check(self.enlarged > 0, "enlarged", "more than 0", self.enlarged)


@dataclass(frozen=True, kw_only=True)
class ClusteringConfig:
    """Telling messages at one pose apart, by the evidence of blocks."""

    block: int = 8  # pixels: side of the blocks that evidence is kept for
    windows: tuple[float, ...] = (2.0, 3.5)  # blocks: standard deviations of the windows that seeds are read in
    judged: tuple[float, ...] = (2.5, 4.0, 6.0, 10.0)  # blocks: the same of those that a message is judged in
    claim_window: float = 1.5  # blocks: of the window in which messages compete for a block
    spacing: int = 2  # blocks within which only the best seed counts
    seeds: int = 64  # tried at most; a quarter of that on the largest levels
    seed_blocks: int = 400_000  # seeds times blocks: what growing them all may cost
    tries: int = 3  # of the messages that explain most are judged
    spare_rounds: int = 6  # of accepting messages, beyond two for each
    rounds: int = 4  # of assigning blocks and reading the message again
    least_blocks: int = 12  # smaller parts are not read
    sharpness: float = 1.5  # of the hyperbolic tangent that limits votes, over their median
    given_pose: float = 10.0  # joint score that a pose which was given, not found among thousands, is ahead by
    evidence: float = 7.0  # standard deviations that a spot shows at least at a given pose: unmarked reach 6, marks 9
    distinct: float = 4.0  # score that the bits in which two messages at one pose differ need by themselves
    alike_bits: int = 9  # of 32: of two words .4% differ in fewer
    overshadowed: float = 3.0  # times the score of a message that one so much alike has which may be all there is
    # the same as ``distinct`` in that case; of neighbours with messages of their own that differ in six to eight bits
    # scores are within 2.7 of one another, and the differing bits have 4 to 10 (28 tenths of validation photos)
    distinct_overshadowed: float = 12.0
    clear: float = 1.2  # vote from which a bit is rarely wrong
    clear_alike: int = 2  # clear bits in which two readings of one message differ at most; words differ in six
    same: float = 0.5  # cosine between two readings above which they are one message

    def __post_init__(self) -> None:
        _check(self.block >= 1, "block", "at least 1 pixel", self.block)
        _check(min(*self.windows, *self.judged) > 0, "clustering windows", "more than 0", self)


@dataclass(frozen=True, kw_only=True)
class LocalizationConfig:
    """Masks from the evidence at each pixel; the first three only for models without a mask head."""

    windows: tuple[float, ...] = (4.0, 8.0, 16.0)  # pixels: standard deviations of the windows
    doubt: float = 2.0  # standard deviations by which a hole must speak against the mark to stay a hole
    sure: float = 3.0  # standard deviations by which an island must speak for it to stay
    shared_noise: float = 3.0  # pixels of a band-limited estimate that have the noise of one
    flat_window: int = 7  # pixels: side of the square that deviation is taken over
    flat_levels: float = 1.2  # 8-bit levels of local deviation below which a place counts as flat
    flat_energy: float = 0.12  # energy of the estimate in marked flat places, at least
    decided: float = 2.0  # mask logit given to what changed sides with its part

    def __post_init__(self) -> None:
        _check(self.flat_levels > 0, "flat_levels", "more than 0", self.flat_levels)
        _check(self.decided > 0, "decided", "more than 0", self.decided)


@dataclass(frozen=True, kw_only=True)
class RegularizationConfig:
    """Islands and straight sides of masks, in cells of the mask head."""

    island: float = 0.12  # of the evidence of the largest part that a part has at least
    whole: float = 0.97  # share of the picture from which a mask is taken for that of the whole picture
    least: int = 40  # cells of a mask whose outline is looked for
    margin: int = 8  # cells around a mask in which its outline is looked for
    filled: float = 0.65  # of the smallest rectangle around it that a four-sided mask fills at least
    agreeing: float = 0.9  # intersection over union with the mask that an outline needs
    as_good: float = 0.96  # of the evidence of the mask that it needs
    as_good_along: float = 0.93  # the same along the mark's or the picture's axes, whatever the agreement
    as_good_whole: float = 0.985  # the same of a whole picture: a clear hole of 1% of it stays one
    strays: float = 0.02  # share of the mask's cells beyond either side from which the search for those begins
    limit: float = 3.0  # largest logit that counts: far inside or outside says nothing about an outline
    steps: tuple[float, ...] = (2.0, 1.0, 0.5, 0.25)  # cells by which corners and sides are moved, one after another
    rounds: int = 4  # with each size at most
    least_gain: float = 0.002  # relative gain of a round below which the next size is taken

    def __post_init__(self) -> None:
        _check_shares(self, "island", "whole", "filled", "agreeing", "as_good")


@dataclass(frozen=True, kw_only=True)
class MergingConfig:
    """When parts that were found apart are one mark."""

    border: int = 9  # mask pixels: side of the square by which a part is grown to see whether it touches another
    touching_turn: float = 0.3  # relative difference of the pose matrices of parts that touch, at most
    same_turn: float = 0.03  # the same of parts at one pose
    same_shift: float = 4.0  # working pixels between poses that are one, whole tiles aside, where the part lies

    def __post_init__(self) -> None:
        _check(self.border % 2 == 1, "border", "an odd number", self.border)


@dataclass(frozen=True, kw_only=True)
class DenseOutputConfig:
    """Bits around each pixel."""

    window: float = 2.5  # blocks: standard deviation of the window for local bits


@dataclass(frozen=True, kw_only=True)
class PresenceConfig:
    """What is made of a score: chances are calibrated, all that was tried counted."""

    reported_log10_p: float = -4.0  # log10 of the chance of a false alarm that a reported mark may have
    looked_up_log10_p: float = -1.0  # the same for a mark whose word is looked up
    placed: float = 2.0  # working pixels between the corner of a picture as it was marked and that of its pattern

    def __post_init__(self) -> None:
        chances = (self.reported_log10_p, self.looked_up_log10_p)
        _check(chances[0] <= chances[1] <= 0, "presence", "log10 of chances, the reported one smaller", chances)


@dataclass(frozen=True, kw_only=True)
class SearchConfig:
    """All of it. Frozen, so that a digest says which; ``dataclasses.replace`` makes another for a sweep."""

    pyramid: PyramidConfig = field(default_factory=PyramidConfig)
    windows: WindowsConfig = field(default_factory=WindowsConfig)
    lattice: LatticeConfig = field(default_factory=LatticeConfig)
    synchronization: SynchronizationConfig = field(default_factory=SynchronizationConfig)
    refinement: RefinementConfig = field(default_factory=RefinementConfig)
    homography: HomographyConfig = field(default_factory=HomographyConfig)
    perspective: PerspectiveConfig = field(default_factory=PerspectiveConfig)
    level: LevelConfig = field(default_factory=LevelConfig)
    small_regions: SmallRegionsConfig = field(default_factory=SmallRegionsConfig)
    clustering: ClusteringConfig = field(default_factory=ClusteringConfig)
    localization: LocalizationConfig = field(default_factory=LocalizationConfig)
    regularization: RegularizationConfig = field(default_factory=RegularizationConfig)
    merging: MergingConfig = field(default_factory=MergingConfig)
    dense_output: DenseOutputConfig = field(default_factory=DenseOutputConfig)
    presence: PresenceConfig = field(default_factory=PresenceConfig)

    def __post_init__(self) -> None:
        finest, coarser = self.small_regions.finest, self.lattice.scales[0]
        _check(finest < coarser, "small_regions.finest", f"less than lattice.scales, {coarser}", finest)

    @property
    def small_scales(self) -> tuple[float, float]:
        """Pixels per working pixel of pieces too small for the levels: up to where the levels begin."""
        return self.small_regions.finest, self.lattice.scales[0]

    def digest(self) -> str:
        """16 hex digits that name this set of values: SHA-256 of all of them as JSON, keys sorted."""
        text = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


DEFAULT_SEARCH = SearchConfig()
