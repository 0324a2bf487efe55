"""Meta's WAM as a whole: its state dict, the published path step by step, frozen answers, and the common protocol."""

from __future__ import annotations

import math

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torchvision.transforms import v2

from tests.wam.models.meta.meta_weights import ANSWERS, DATA, answers, empty_model, filled_model, painted, slopes
from tests.wam.synthetic import message, text
from wam.detection.localization import OUTSIDE
from wam.models.meta import MetaModel
from wam.models.meta.model import LOG10_FALSE_ALARM, log10_presence
from wam.watermarker import Watermarker

MEAN, DEVIATION = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


@pytest.fixture(scope="module")
def model() -> MetaModel:
    return filled_model()


@pytest.fixture
def seeing(monkeypatch: pytest.MonkeyPatch) -> MetaModel:
    """A model without weights; ``paint`` decides what it sees."""
    return empty_model(name="painted@00000000")


def paint(model: MetaModel, monkeypatch: pytest.MonkeyPatch, logits: Tensor) -> Watermarker:
    monkeypatch.setattr(model, "extract", lambda images: logits[None])
    return Watermarker(model)


def strip(left: int, right: int) -> Tensor:
    mask = torch.zeros(256, 256, dtype=torch.bool)
    mask[:, left:right] = True
    return mask


def psnr(one: Tensor, other: Tensor) -> float:
    return -10 * math.log10(float((one - other).square().mean()))


def test_the_state_dict_has_the_published_keys_and_shapes() -> None:
    lines = (DATA / "meta_state_dict.txt").read_text().splitlines()
    published = {key: shape for key, shape in map(str.split, lines)}
    own = {key: "x".join(map(str, tensor.shape)) for key, tensor in empty_model().state_dict().items()}
    assert len(published) == 432
    assert own == published
    assert sum(tensor.numel() for tensor in empty_model().state_dict().values()) == 94_416_643


def test_answers_are_frozen(model: MetaModel) -> None:
    """Written by ``python -m tests.wam.models.meta.meta_weights``."""
    frozen, now = load_file(ANSWERS), answers(model)
    assert frozen.keys() == now.keys()
    for name, expected in frozen.items():
        assert float(expected.abs().max()) > 0, name
        torch.testing.assert_close(now[name], expected, atol=2e-4 * float(expected.abs().max()), rtol=1e-3)


@pytest.mark.parametrize("size", [(64, 96), (256, 256), (300, 270)])
def test_marking_follows_the_published_path(model: MetaModel, size: tuple[int, int]) -> None:
    """In normalised space, as the original does it, on any size."""
    picture, bits = slopes(*size), message(1)
    normalise = v2.Normalize(MEAN, DEVIATION)
    undo = v2.Normalize([-m / d for m, d in zip(MEAN, DEVIATION, strict=True)], [1 / d for d in DEVIATION])
    images = normalise(picture)
    with torch.no_grad():
        delta = v2.functional.resize(model.embedder(v2.functional.resize(images, [256, 256]), bits), list(size))
        marked = undo(images + 2.0 * delta)
        expected = picture + model.attenuation(picture) * (marked - picture)
        torch.testing.assert_close(model.mark(picture, bits), expected.clamp(0, 1), atol=1e-5, rtol=0)
    assert float((expected - picture).abs().max()) > 1 / 255


def test_reading_scales_to_a_square(model: MetaModel) -> None:
    picture = slopes(200, 330)
    small = v2.Normalize(MEAN, DEVIATION)(v2.functional.resize(picture, [256, 256], antialias=True))
    with torch.no_grad():
        torch.testing.assert_close(model.extract(picture), model.detector(small), atol=1e-5, rtol=1e-5)


def test_flat_grey_below_the_middle_carries_nothing(model: MetaModel) -> None:
    with torch.no_grad():
        for grey, carries in ((127, False), (128, True)):
            picture = torch.full((1, 3, 64, 64), grey / 255)
            assert (float(model.residual(picture, message(0))[..., 8:-8, 8:-8].abs().max()) > 1e-4) == carries


def test_values_stay_in_range(model: MetaModel) -> None:
    for level in (0.0, 1.0):
        with torch.no_grad():
            marked = model.mark(torch.full((1, 3, 48, 48), level), message(0))
        assert float(marked.min()) >= 0 and float(marked.max()) <= 1 and len(marked.unique()) > 2


def test_a_psnr_scales_the_same_residual(model: MetaModel) -> None:
    picture = slopes(64, 64) * 0.6 + 0.2
    with torch.no_grad():
        own = model.mark(picture, message(0))
        for asked in (40.0, 46.0):
            marked = model.mark(picture, message(0), psnr_db=asked)
            assert psnr(marked, picture) == pytest.approx(asked, abs=0.1)
            change, usual = (marked - picture).flatten(), (own - picture).flatten()
            assert float(torch.cosine_similarity(change, usual, dim=0)) > 0.999


def test_no_more_than_four_times_the_published_strength(model: MetaModel) -> None:
    picture = torch.full((1, 3, 64, 64), 0.49)
    with torch.no_grad():
        own, loud = model.residual(picture, message(0)), model.mark(picture, message(0), psnr_db=5.0) - picture
    torch.testing.assert_close(loud, own * 4, atol=1e-5, rtol=1e-3)


def test_a_batch_is_its_pictures(model: MetaModel) -> None:
    pictures, bits = torch.cat([slopes(48, 64), slopes(48, 64).flip(3)]), torch.cat([message(0), message(1)])
    with torch.no_grad():
        marked = model.mark(pictures, bits, psnr_db=40.0)
        torch.testing.assert_close(marked[1:], model.mark(pictures[1:], bits[1:], psnr_db=40.0), atol=1e-5, rtol=0)


def test_the_public_interface_marks_at_the_published_strength(model: MetaModel) -> None:
    picture = slopes(64, 80)
    marker = Watermarker(model)
    usual, calm = (marker.embed(picture, text(message(0)), strength=strength) for strength in (None, 45.0))
    assert isinstance(usual.image, Tensor) and bool(((usual.image * 255).round() == usual.image * 255).all())
    with torch.no_grad():
        assert usual.psnr_db == pytest.approx(psnr(model.mark(picture, message(0)), picture), abs=0.5)  # rounding
    assert calm.psnr_db == pytest.approx(45.0, abs=0.7)


def test_half_precision_reads_nearly_the_same(model: MetaModel) -> None:
    exact = model.extract(slopes(64, 64)).detach()
    model.precision = torch.bfloat16
    try:
        rounded = model.extract(slopes(64, 64)).detach()
    finally:
        model.precision = None
    assert rounded.dtype == torch.float32 and not torch.equal(rounded, exact)
    torch.testing.assert_close(rounded, exact, atol=0.1 * float(exact.abs().max()), rtol=0.1)


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision: expected one of fp32, bf16, fp16, found fp8"):
        empty_model(precision="fp8")


def test_two_marks_are_found_where_they_are(seeing: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    left, right = strip(0, 128), strip(176, 256)
    marker = paint(seeing, monkeypatch, painted(left | right, (left, message(0)), (right, message(1))))
    first, second = marker.detect(torch.zeros(1, 3, 100, 512))
    assert [first.bits, second.bits] == [text(message(0)), text(message(1))]
    assert (first.region.bbox, second.region.bbox) == ((0, 0, 256, 100), (352, 0, 160, 100))
    assert first.mask.shape == (100, 512)
    assert (first.score, second.score) == (0.5, 80 / 256)
    assert (first.pose.scale, first.pose.rotation_deg, first.pose.flipped, first.key) == (1.0, 0.0, False, 0)
    assert first.log10_p == LOG10_FALSE_ALARM
    assert first.mask_score == pytest.approx(0.9526, abs=1e-3)


def test_bit_logits_are_the_mean_of_the_pixels(seeing: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = painted(strip(0, 100), (strip(0, 100), message(0)))
    logits[1, :, :50] *= 0.5
    (found,) = paint(seeing, monkeypatch, logits).detect(torch.zeros(1, 3, 64, 64))
    assert abs(found.logits).tolist() == pytest.approx([3.0] + [4.0] * 31)


def test_a_small_mark_is_only_looked_up(seeing: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """Up to 7% of the picture nothing is published on chance: only a registered word can make it a watermark."""
    for columns, present in ((17, False), (18, True)):  # 6.6% and 7.03%
        marker = paint(seeing, monkeypatch, painted(strip(0, columns), (strip(0, columns), message(0))))
        assert len(marker.detect(torch.zeros(1, 3, 64, 64))) == present
        faint = marker.model.description.faint
        assert len(marker.detect(torch.zeros(1, 3, 64, 64), max_log10_p=faint)) == 1


def test_only_the_published_chance_is_claimed() -> None:
    assert [log10_presence(share) for share in (0.0, 0.07, 0.0701, 1.0)] == [0, 0, LOG10_FALSE_ALARM, LOG10_FALSE_ALARM]
    assert pytest.approx(4e-4) == 10**LOG10_FALSE_ALARM


def test_an_unmarked_picture_is_an_empty_list(seeing: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = paint(seeing, monkeypatch, painted(strip(0, 0)))
    assert marker.detect(torch.zeros(1, 3, 64, 64), thorough=True, max_log10_p=0.0) == []


def test_per_pixel_output_is_the_extractors(seeing: MetaModel, monkeypatch: pytest.MonkeyPatch) -> None:
    logits = painted(strip(0, 128), (strip(0, 128), message(0)))
    maps = paint(seeing, monkeypatch, logits).predict(torch.zeros(2, 3, 512, 128))
    assert maps.shape == (2, 33, 512, 128)
    torch.testing.assert_close(maps[0, :, 10, 10], logits[:, 5, 20])
    assert float(maps[0, 0, 0, -1]) == float(logits[0, 0, -1]) > OUTSIDE
