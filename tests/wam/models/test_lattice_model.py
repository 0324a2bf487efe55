"""The toolkit's own model behind the common protocol."""

from __future__ import annotations

import math

import pytest
import torch

from tests.wam.synthetic import handmade_marker, message, smooth_picture
from wam.detection.calibration import Calibration
from wam.detection.detector import search
from wam.models.effort import Effort
from wam.models.lattice_model import LatticeModel
from wam.networks.embedder import EVEN_PSNR
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
