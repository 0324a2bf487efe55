"""The stand-in for redrawing: shapes, a training that goes on, and pictures drawn again."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from scripts import train_autoencoder as script
from tests.wam.synthetic import smooth_picture
from wam.training.photos import Photos
from wam.watermarker import to_batch

pytestmark = pytest.mark.slow  # a measurement that is made by hand


def test_a_training_that_stops_goes_on_as_if_it_had_not(tmp_path: Path) -> None:
    photos = Photos([smooth_picture(64, 72, seed=seed) for seed in range(3)])
    whole, parts = tmp_path / "whole.pt", tmp_path / "parts.pt"
    assert script.train(photos, whole, steps=2, side=32) == 2
    times = iter([True, False])
    assert script.train(photos, parts, steps=2, side=32, goes_on=lambda: next(times)) == 1
    assert script.train(photos, parts, steps=2, side=32) == 2
    networks = [script.Autoencoder(), script.Autoencoder()]
    assert [script.restored(place, one) for place, one in zip((whole, parts), networks, strict=True)] == [2, 2]
    for first, second in zip(networks[0].parameters(), networks[1].parameters(), strict=True):
        assert torch.allclose(first, second, atol=1e-6)


def test_a_picture_of_any_size_is_drawn_again_and_learnt() -> None:
    torch.manual_seed(0)
    network = script.Autoencoder(width=16)
    image = to_batch(smooth_picture(45, 51, seed=4))
    optimiser = torch.optim.Adam(network.parameters(), 3e-3)
    losses = []
    for step in range(25):
        loss = script.loss_of(network(image, torch.Generator().manual_seed(step)), image)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]
    drawn = script.redrawn(network, image, seed=1)
    assert drawn.shape == image.shape and torch.equal(drawn, script.redrawn(network, image, seed=1))
    assert not torch.equal(drawn, script.redrawn(network, image, seed=2))
