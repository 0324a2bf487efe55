"""The search: what it finds in whole pictures, and that it ends with nothing where nothing is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torchvision.transforms.functional as TF
from PIL import Image
from torch import Tensor, nn

from tests.wam.synthetic import THRESHOLD, handmade_marker, message, misplacement, posed, smooth_picture, text
from wam.detection.config import DEFAULT_SEARCH, SearchConfig
from wam.detection.detector import TOGETHER, SearchResult, blank, empty, search, search_many
from wam.detection.merging import Found, join_parts
from wam.detection.phase_reversal import NEGATIVE
from wam.detection.pyramid import pyramid, view_sizes
from wam.detection.sliding_windows import cut
from wam.networks.embedder import Embedder
from wam.networks.extractor import ExtractorOutput
from wam.networks.watermark_network import WatermarkModel
from wam.signal.pattern import Carrier
from wam.signal.pose import Pose
from wam.watermarker import Watermarker, to_batch

SIDE = 160
PYRAMID = DEFAULT_SEARCH.pyramid


def checkerboard(cell: int) -> np.ndarray:
    y, x = np.mgrid[:SIDE, : SIDE + 60]
    return np.repeat(((x // cell + y // cell) % 2 * 255)[..., None], 3, axis=2).astype(np.uint8)


UNMARKED = {
    "black": np.zeros((SIDE, SIDE + 60, 3), np.uint8),
    "flat": np.full((SIDE, SIDE + 60, 3), 130, np.uint8),
    "noise": np.random.default_rng(0).integers(0, 256, (SIDE, SIDE + 60, 3), dtype=np.uint8),
    "slope": smooth_picture(SIDE, SIDE + 60),
    **{f"checkerboard {cell}": checkerboard(cell) for cell in (1, 8, 16, 32)},
}


def look(
    marker: Watermarker, picture: np.ndarray | Tensor, *, thorough: bool = False, config: SearchConfig = DEFAULT_SEARCH
) -> SearchResult:
    batch = picture if isinstance(picture, Tensor) else to_batch(picture)
    assert isinstance(marker.model, WatermarkModel)
    return search(marker.model, batch[0], threshold=THRESHOLD, thorough=thorough, config=config)


def marked(marker: Watermarker, picture: np.ndarray, seed: int) -> Tensor:
    """(1, 3, H, W), rounded to 8 bits."""
    with torch.no_grad():
        return (marker.model.mark(to_batch(picture), message(seed), psnr_db=42.0) * 255).round() / 255


def messages_of(result: SearchResult) -> list[str]:
    return [text((found.votes > 0).long()) for found in result.found]


@pytest.mark.parametrize("name", UNMARKED)
@pytest.mark.parametrize("thorough", [False, True])
def test_nothing_is_found_where_nothing_is(light: Watermarker, name: str, thorough: bool) -> None:
    result = look(light, UNMARKED[name], thorough=thorough)
    assert result.found == ()
    assert result.strongest < THRESHOLD
    assert len(result.views) <= len(list(pyramid(SIDE, PYRAMID)))
    assert result.tried <= 34


def test_a_whole_picture_takes_one_pass(light: Watermarker) -> None:
    result = look(light, marked(light, smooth_picture(SIDE, 200), 0))
    assert messages_of(result) == [text(message(0))]
    assert (len(result.views), result.tried) == (1, 1)
    (found,) = result.found
    assert float((found.mask_logits > 0).float().mean()) > 0.98
    assert misplacement(found.pose, Pose.upright(1.0), (SIDE, 200)) < 0.5


@pytest.mark.parametrize("angle", [0, 20])
def test_a_negative_is_read_at_the_usual_resolution(light: Watermarker, angle: int) -> None:
    shown = TF.rotate(marked(light, smooth_picture(220, 260), 1), angle, TF.InterpolationMode.BILINEAR)
    result = look(light, 1 - (shown * 255).round() / 255)
    assert messages_of(result) == [text(message(1))] and len(result.views) == 1
    assert result.found[0].negative and result.found[0].how.endswith("light and dark exchanged")


def test_a_turned_picture(light: Watermarker) -> None:
    turned = TF.rotate(marked(light, smooth_picture(220, 260), 1), 20, TF.InterpolationMode.BILINEAR)
    result = look(light, (turned * 255).round() / 255)
    assert messages_of(result) == [text(message(1))]
    assert result.found[0].pose.rotation_deg == pytest.approx(20, abs=0.3)


def test_an_enlarged_piece_is_found_at_a_coarser_level(light: Watermarker) -> None:
    piece = TF.resize(marked(light, smooth_picture(256, 256), 2)[..., 60:160, 60:160], [256, 256], antialias=True)
    result = look(light, (piece * 255).round() / 255)
    assert messages_of(result) == [text(message(2))]
    assert result.found[0].pose.scale == pytest.approx(2.56, rel=0.01)


def test_two_pieces_with_poses_of_their_own(light: Watermarker) -> None:
    page = to_batch(smooth_picture(256, 400, seed=5)).clone()
    page[..., 20:180, 10:180] = marked(light, smooth_picture(200, 300), 3)[..., 7:167, 11:181]
    page[..., 60:230, 215:385] = torch.rot90(marked(light, smooth_picture(200, 300, seed=1), 4), 1, (2, 3))[
        ..., 9:179, 5:175
    ]
    result = look(light, page)
    assert sorted(messages_of(result)) == sorted([text(message(3)), text(message(4))])


def test_a_small_piece_is_found_in_a_window(light: Watermarker) -> None:
    """It repeats too little to be seen in the autocorrelation of the whole picture."""
    grain = np.random.default_rng(1).normal(0, 4, (256, 480, 1))
    page = to_batch((smooth_picture(256, 480, seed=5) + grain).clip(0, 255).astype(np.uint8)).clone()
    turned = TF.rotate(marked(light, smooth_picture(220, 260), 1), 20, TF.InterpolationMode.BILINEAR)
    page[..., 120:200, 300:380] = turned[..., 70:150, 90:170]
    (found,) = look(light, page).found
    assert text((found.votes > 0).long()) == text(message(1))
    mask = found.mask_logits > 0
    assert float(mask[120:200, 300:380].float().mean()) > 0.7


@pytest.mark.parametrize("size", [(48, 3000), (3000, 48)])
def test_a_banner_is_read(light: Watermarker, size: tuple[int, int]) -> None:
    picture = smooth_picture(*size)
    assert look(light, picture).found == ()
    assert messages_of(look(light, marked(light, picture, 8))) == [text(message(8))]


def test_a_long_strip_costs_about_what_its_area_costs(light: Watermarker) -> None:
    seen, tried = [], []
    for height, width in ((800, 1200), (32, 30_000)):
        noise = np.random.default_rng(6).integers(0, 256, (height, width, 3), dtype=np.uint8)
        result = look(light, noise)
        assert result.found == ()
        seen.append(sum(rows * columns for rows, columns in result.views))
        tried.append(result.tried)
    assert seen[1] < 8 * seen[0] and tried[1] < 8 * tried[0]


def test_a_mark_of_another_carrier_is_not_found(light: Watermarker) -> None:
    secret = handmade_marker(b"sixteen bytes of secret")
    picture = marked(secret, smooth_picture(), 5)
    assert look(light, picture).found == ()
    assert messages_of(look(secret, picture)) == [text(message(5))]


class Noise(nn.Module):
    """An extractor that sees the same noise in every picture."""

    def forward(self, images: Tensor) -> ExtractorOutput:
        noise = torch.randn(images[:, :1].shape, generator=torch.Generator().manual_seed(0))
        return ExtractorOutput(noise, torch.zeros_like(noise))


def test_small_pieces_are_looked_for_in_few_places_of_any_picture() -> None:
    """Windows by themselves; one pass each, whatever the number of keys."""
    suspicious = replace(DEFAULT_SEARCH.small_regions, standing=0.0, finer=0.0, glances=4)
    noise = np.random.default_rng(5).integers(0, 256, (256, 1000, 3), dtype=np.uint8)
    marker = handmade_marker(b"sixteen bytes of secret", None)
    result = look(marker, noise, config=replace(DEFAULT_SEARCH, small_regions=suspicious))
    looked = result.views[len(list(view_sizes(256, 1000, PYRAMID))) :]
    side = round(DEFAULT_SEARCH.windows.side * suspicious.enlarged)
    assert looked == ((side, side),) * 4


def test_a_threshold_that_noise_passes_still_ends() -> None:
    model = WatermarkModel(Embedder(), Noise(), [Carrier.from_key()])
    result = search(model, torch.full((3, 160, 220), 0.5), threshold=1.0)
    assert result.strongest > 1.0
    assert len(result.found) <= PYRAMID.most_marks
    assert result.tried <= 60


def test_parts_of_one_mark_are_joined() -> None:
    left, right = (
        found_at(Pose.upright(1.0), 0, 30.0, slice(0, 20)),
        found_at(Pose.upright(1.0), 0, 40.0, slice(20, 40)),
    )
    (joined,) = join_parts([left, right], (40, 40), DEFAULT_SEARCH)
    assert joined.score == 40.0
    assert bool((joined.mask_logits > 0).all())


@pytest.mark.parametrize(("angle", "seed"), [(0.0, 1), (90.0, 0)])
def test_parts_of_another_message_or_turn_are_not_joined(angle: float, seed: int) -> None:
    parts = [
        found_at(Pose.upright(1.0), 0, 30.0, slice(0, 20)),
        found_at(posed(angle, 1.0), seed, 40.0, slice(20, 40)),
    ]
    assert [part.score for part in join_parts(parts, (40, 40), DEFAULT_SEARCH)] == [40.0, 30.0]


def test_a_mark_and_its_negative_are_not_joined() -> None:
    own, other = (found_at(Pose.upright(1.0), 0, 30.0, slice(0, 20)) for _ in range(2))
    found = join_parts([own, replace(other, reversal=NEGATIVE)], (40, 40), DEFAULT_SEARCH)
    assert [one.negative for one in found] == [False, True]


def test_parts_that_are_joined_by_one_between_them_are_one() -> None:
    places = ((50.0, slice(0, 14)), (30.0, slice(13, 27)), (40.0, slice(26, 40)))  # score, columns
    poses = [Pose(torch.eye(2), torch.full((2,), 6.0 * step)) for step in range(3)]  # as pieces of a bent mark
    parts = [found_at(pose, 0, score, columns) for pose, (score, columns) in zip(poses, places, strict=True)]
    (joined,) = join_parts(parts, (40, 40), DEFAULT_SEARCH)
    assert joined.score == 50.0 and bool((joined.mask_logits > 0).all())


def test_copies_apart_are_two_marks() -> None:
    shifted = Pose(torch.eye(2), torch.full((2,), 16.0))
    parts = [found_at(Pose.upright(1.0), 0, 30.0, slice(0, 12)), found_at(shifted, 0, 40.0, slice(28, 40))]
    assert len(join_parts(parts, (40, 40), DEFAULT_SEARCH)) == 2


def found_at(pose: Pose, seed: int, score: float, columns: slice) -> Found:
    mask = torch.full((40, 40), -1.0)
    mask[:, columns] = 1
    return Found(message(seed)[0].float() * 6 - 3, score, mask, pose, torch.zeros(40, 40), 0)


def test_black_corners_are_empty_and_dark_places_are_not() -> None:
    view = torch.full((1, 3, 40, 40), 2 / 255)
    view[..., 20:, 20:] = 0
    expected = torch.zeros(40, 40, dtype=torch.bool)
    expected[24:, 24:] = True
    assert torch.equal(empty(view, PYRAMID), expected)


def test_paper_of_one_colour_is_blank_and_a_faint_pattern_is_not() -> None:
    view = torch.full((1, 3, 40, 40), 0.9)
    view[..., 20:, ::4] -= 2 / 255
    found = blank(view, PYRAMID)
    assert found[:16].all() and not found[16:].any()


def test_paper_around_a_found_picture_is_not_searched_further(light: Watermarker) -> None:
    page = np.full((600, 600, 3), 255, np.uint8)
    large = TF.resize(marked(light, smooth_picture(200, 260), 9), [300, 390], antialias=True)
    page[150:450, 110:500] = (large[0] * 255).byte().permute(1, 2, 0).numpy()
    result = look(light, page)
    assert messages_of(result) == [text(message(9))]
    assert len(result.views) < len(list(view_sizes(600, 600, PYRAMID)))


@pytest.mark.parametrize("bound", [{"largest_whole": 100_000}, {"longest_whole": 300}])
def test_windows_of_a_large_level_read_what_the_whole_level_does(light: Watermarker, bound: dict[str, int]) -> None:
    page = np.random.default_rng(3).integers(100, 140, (700, 900, 3)).astype(np.uint8)
    page[300:500, 420:680] = (marked(light, smooth_picture(200, 260), 9)[0] * 255).byte().permute(1, 2, 0).numpy()
    (whole,) = look(light, page).found
    bounded = replace(DEFAULT_SEARCH, level=replace(DEFAULT_SEARCH.level, around=(150,), **bound))
    (part,) = look(light, page, config=bounded).found
    assert (whole.votes > 0).equal(part.votes > 0)
    both = (whole.mask_logits > 0) & (part.mask_logits > 0)
    assert float(both.sum()) > 0.7 * float(((whole.mask_logits > 0) | (part.mask_logits > 0)).sum())
    assert "window" in part.how
    assert misplacement(part.pose, whole.pose, (page.shape[0], page.shape[1])) < 16


def test_a_long_strip_is_searched_along_its_length(light: Watermarker) -> None:
    bounded = replace(DEFAULT_SEARCH, level=replace(DEFAULT_SEARCH.level, largest_whole=50_000))
    strip = marked(light, smooth_picture(150, 900), 8)[..., 5:, 37:]
    assert messages_of(look(light, strip, config=bounded)) == [text(message(8))]


def test_cut() -> None:
    assert cut(torch.arange(12).view(3, 4), (1, 0, 3, 2)).tolist() == [[4, 5], [8, 9]]


def test_pixels_of_a_window_keep_their_place(light: Watermarker) -> None:
    """The pose of a mark in a corner is in pixels of the whole picture."""
    page = to_batch(smooth_picture(256, 400, seed=6)).clone()
    page[..., 80:, 230:] = marked(light, smooth_picture(176, 170, seed=7), 6)
    (found,) = look(light, page).found
    true = Pose(torch.eye(2), -torch.tensor([230.0, 80.0]))
    assert misplacement(found.pose, true, (256, 400)) < 1.0


def test_samples_without_a_mark(light: Watermarker, dune: Image.Image) -> None:
    assert look(light, np.asarray(dune.reduce(2))).found == ()


def test_a_search_ends_when_its_time_is_over(light: Watermarker) -> None:
    """What was found until then is given, and that there was more to look at is said."""
    assert isinstance(light.model, WatermarkModel)
    page = to_batch(smooth_picture(700, 900))[0]
    result = search(light.model, page, threshold=THRESHOLD, seconds=0.0)
    assert result.cut_short and len(result.views) == 1
    whole = marked(light, smooth_picture(SIDE, 200), 0)[0]
    at_once = search(light.model, whole, threshold=THRESHOLD, seconds=0.0)
    assert messages_of(at_once) == [text(message(0))] and not at_once.cut_short
    exchanged = search(light.model, 1 - whole, threshold=THRESHOLD, seconds=0.0, usual_only=True)
    assert exchanged.found == () and exchanged.cut_short


def test_pictures_are_searched_alike_alone_and_together(light: Watermarker) -> None:
    """Of several sizes, marked whole, turned, and unmarked; views of one size go through the network together."""
    assert isinstance(light.model, WatermarkModel)
    turned = TF.rotate(marked(light, smooth_picture(220, 260), 1), 20, TF.InterpolationMode.BILINEAR)
    pictures = [
        marked(light, smooth_picture(SIDE, 200), 0)[0],
        (turned * 255).round()[0] / 255,
        to_batch(smooth_picture(SIDE, 200, seed=3))[0],
        marked(light, smooth_picture(SIDE, 200, seed=4), 2)[0],
    ]
    together = search_many(light.model, pictures, threshold=THRESHOLD)
    alone = [search(light.model, picture, threshold=THRESHOLD) for picture in pictures]
    assert [messages_of(one) for one in together] == [messages_of(one) for one in alone]
    assert [one.views for one in together] == [one.views for one in alone]
    assert [len(one.found) for one in together] == [1, 1, 0, 1]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose([f.score for f in one.found], [f.score for f in other.found], rtol=1e-3)
    assert search_many(light.model, [], threshold=THRESHOLD) == []


def test_views_of_one_size_share_a_pass(light: Watermarker) -> None:
    assert isinstance(light.model, WatermarkModel)
    passes: list[int] = []

    class Counting(WatermarkModel):
        def extract(self, images: Tensor) -> ExtractorOutput:
            passes.append(len(images))
            return super().extract(images)

    model = Counting(light.model.embedder, light.model.extractor, list(light.model.carriers))
    pictures = [marked(light, smooth_picture(SIDE, 200, seed=n), n)[0] for n in range(3)]
    assert [len(one.found) for one in search_many(model, pictures, threshold=THRESHOLD)] == [1, 1, 1]
    assert passes == [3]


@pytest.mark.parametrize(
    ("size", "views"),
    [
        ((400, 500), [(256, 320)]),
        ((150, 180), [(150, 180), (256, 307)]),  # a thumbnail is enlarged as well
        ((150, 2000), [(150, 2000)]),  # a banner is none
    ],
)
def test_a_quick_look_is_at_the_usual_resolution_only(
    light: Watermarker, size: tuple[int, int], views: list[tuple[int, int]]
) -> None:
    assert isinstance(light.model, WatermarkModel)
    result = search(light.model, to_batch(smooth_picture(*size))[0], threshold=THRESHOLD, usual_only=True)
    assert list(result.views) == views and result.found == ()


def test_a_quick_look_at_a_strip_too_long_for_the_usual_resolution_is_one(light: Watermarker) -> None:
    assert isinstance(light.model, WatermarkModel)
    bounded = replace(DEFAULT_SEARCH, pyramid=replace(PYRAMID, largest_view=120_000))
    strip = to_batch(smooth_picture(260, 900))[0]
    assert next(view_sizes(260, 900, bounded.pyramid))[0] < 256
    result = search(light.model, strip, threshold=THRESHOLD, usual_only=True, config=bounded)
    assert len(result.views) == 1


class Blank(nn.Module):
    """An extractor that sees nothing, and notes how many pictures of which size it was shown."""

    def __init__(self) -> None:
        super().__init__()
        self.shown: list[tuple[int, ...]] = []

    def forward(self, images: Tensor) -> ExtractorOutput:
        self.shown.append(tuple(images.shape))
        nothing = torch.zeros_like(images[:, :1])
        return ExtractorOutput(nothing, nothing)


def test_a_pass_takes_no_more_views_than_there_is_memory_for() -> None:
    blank = Blank()
    model = WatermarkModel(Embedder(), blank, [Carrier.from_key()])
    pictures = [torch.full((3, 256, 320), 0.5)] * 20
    assert [one.found for one in search_many(model, pictures, threshold=THRESHOLD, usual_only=True)] == [()] * 20
    most = TOGETHER // (256 * 320)
    assert 1 < most < 20 and blank.shown == [(most, 3, 256, 320), (20 - most, 3, 256, 320)]
