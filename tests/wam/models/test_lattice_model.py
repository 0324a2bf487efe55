"""The toolkit's own model behind the common protocol."""

from __future__ import annotations

import math

import pytest
import torch

from tests.wam.synthetic import handmade_marker, message, smooth_picture, text
from wam.detection.calibration import Calibration
from wam.detection.detector import search
from wam.models.effort import Effort
from wam.models.lattice_model import LatticeModel
from wam.models.protocol import Labels
from wam.networks.embedder import EVEN_PSNR
from wam.signal.label import Label
from wam.watermarker import Watermarker, to_batch

PICTURE = to_batch(smooth_picture())


@pytest.fixture(scope="module")
def model() -> LatticeModel:
    model = handmade_marker().model
    assert isinstance(model, LatticeModel)
    return model


def marked(model: LatticeModel, psnr_db: float | None) -> torch.Tensor:
    with torch.no_grad():
        return model.mark(PICTURE, message(0), psnr_db=psnr_db)


def test_no_strength_is_one_that_suits_the_picture(model: LatticeModel) -> None:
    error = (marked(model, None) - PICTURE).square().mean()
    assert EVEN_PSNR[0] - 0.5 < -10 * torch.log10(error) < EVEN_PSNR[1] + 0.5
    assert not torch.equal(marked(model, None), marked(model, 48.0))


def test_findings_are_the_searchs_calibrated(model: LatticeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    image = marked(model, None)[0]
    result = search(model, image, threshold=model.calibration.threshold)
    calibration = Calibration(threshold=27.0, null_location=13.0, null_scale=5.0, bit_slope=0.5)
    monkeypatch.setattr(model, "calibration", calibration)
    (found,) = model.find(image)
    (raw,) = result.found
    torch.testing.assert_close(found.logits, raw.votes * 0.5)
    chance = calibration.log10_presence(raw.score) + math.log10(result.tried)
    assert found.log10_p == pytest.approx(chance) and found.log10_p < 0
    assert (found.score, found.key) == (raw.score, raw.carrier)


def test_the_models_bound_decides_unless_another_is_given(model: LatticeModel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A calibration that makes the same mark look like chance."""
    marker, image = Watermarker(model), marked(model, None)
    assert len(marker.detect(image)) == 1
    doubtful = Calibration(threshold=27.0, null_location=26.0, null_scale=400.0, bit_slope=2.2)
    monkeypatch.setattr(model, "calibration", doubtful)
    assert marker.detect(image) == []
    assert len(marker.detect(image, max_log10_p=0.0)) == 1


def test_thorough_goes_on_where_a_mark_was_found(model: LatticeModel) -> None:
    efforts = (Effort(), Effort(thorough=True))
    summaries = [Watermarker(model).detect_and_explain(marked(model, None), effort=one)[1] for one in efforts]
    usual, thorough = summaries
    assert usual is not None and thorough is not None
    assert len(usual.views) == 1 < len(thorough.views) and usual.tried == 1 < thorough.tried


OWN, OTHER = Label(0xFEED_BEEF, 4), Label(0xABCD, 1)


def marked_as(model: LatticeModel, label: Label | None) -> torch.Tensor:
    with torch.no_grad():
        return model.marking_as(label).mark(PICTURE, message(0), psnr_db=36.0)[0]


@pytest.mark.parametrize("label", [None, OWN, OTHER])
def test_a_finding_says_which_label_it_has(model: LatticeModel, label: Label | None) -> None:
    (found,) = model.knowing([Label(0xFEED_BEEF), OWN]).find(marked_as(model, label))
    assert (found.label, found.foreign) == (None if label == OTHER else label, label == OTHER)
    assert text((found.logits > 0).long()) == text(message(0))
    assert (found.label_log10_p < -6) == (label == OWN) and (found.label_log10_p == 0) == (label != OWN)


def test_chances_count_the_labels_that_were_tried(model: LatticeModel) -> None:
    image = marked_as(model, None)
    (alone,) = model.find(image)
    for count in (1, 9):
        (found,) = model.knowing([Label(1 + number) for number in range(count)]).find(image)
        assert found.log10_p == pytest.approx(alone.log10_p + math.log10(1 + count))
        assert found.score == alone.score and torch.equal(found.logits, alone.logits)


def test_models_of_other_labels_share_the_networks(model: LatticeModel) -> None:
    other = model.knowing([OWN])
    assert other.extractor is model.extractor and isinstance(other, Labels)
    assert [one.labels for one in other.carriers] == [(OWN,)] and model.carriers[0].labels == ()
    assert other.marking_as(None).carriers[0].label is None and model.marking_as(OWN).carriers[0].label == OWN


def test_every_pixel_of_a_foreign_mark_is_read_by_the_public_half(model: LatticeModel) -> None:
    maps = model.per_pixel(marked_as(model, OTHER))
    votes = maps[1:, maps[0] > 0].mean(1)
    assert text((votes > 0).long()) == text(message(0))
