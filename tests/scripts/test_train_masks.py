"""Training of the mask head: scenes are what they claim, and a head learns from them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from wam.networks.mask_head import MaskHead

SCRIPT = Path(__file__).parents[2] / "scripts" / "train_masks.py"


def module() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_masks_script", SCRIPT)
    assert spec is not None and spec.loader is not None
    loaded = importlib.util.module_from_spec(spec)
    sys.modules["train_masks_script"] = loaded  # dataclasses look their module up
    spec.loader.exec_module(loaded)
    return loaded


SCRIPT_MODULE = module()


def test_shapes_are_masks_of_any_part_of_a_picture() -> None:
    generator = np.random.default_rng(0)
    shapes = [SCRIPT_MODULE.shape((90, 120), generator) for _ in range(80)]
    assert all(shape.shape == (1, 90, 120) and set(shape.unique().tolist()) <= {0.0, 1.0} for shape in shapes)
    areas = [float(shape.mean()) for shape in shapes]
    assert max(areas) == 1.0 and sum(area < 0.5 for area in areas) > 20


def test_pages_are_light_or_of_one_colour_and_some_have_ink() -> None:
    generator = np.random.default_rng(0)
    pages = [SCRIPT_MODULE.paper((80, 100), generator) for _ in range(30)]
    assert all(page.shape == (1, 3, 80, 100) and page.min() >= 0 and page.max() <= 1 for page in pages)
    plain = [bool((page.amax((2, 3)) == page.amin((2, 3))).all()) for page in pages]
    assert 5 < sum(plain) < 25


def test_a_place_keeps_the_middle_of_the_picture_in_view_and_its_size_near() -> None:
    generator = np.random.default_rng(0)
    middle = torch.tensor([SCRIPT_MODULE.VIEW[1], SCRIPT_MODULE.VIEW[0]]) / 2
    for _ in range(20):
        matrix, offset = SCRIPT_MODULE.place((512, 768), generator)
        x, y = (matrix @ middle + offset).tolist()
        assert 0.39 * 768 < x < 0.61 * 768 and 0.39 * 512 < y < 0.61 * 512
        assert 2 * 0.7 < float(torch.linalg.det(matrix)) ** 0.5 < 2 * 1.42  # file pixels to a pixel of the view


def test_a_picture_on_its_own_grid_is_that_picture() -> None:
    image = torch.rand(1, 3, *SCRIPT_MODULE.VIEW, generator=torch.Generator().manual_seed(0))
    warped = SCRIPT_MODULE.warped(image, torch.eye(2), torch.zeros(2), mode="bilinear")
    assert torch.allclose(warped, image, atol=1e-4)
    beside = SCRIPT_MODULE.warped(image, torch.eye(2), torch.tensor([1000.0, 0.0]), mode="bilinear")
    assert not beside.any()


@pytest.mark.parametrize(("columns", "expected"), [(10, 1.0), (5, 0.5), (0, 0.0)])
def test_overlap_is_intersection_over_union(columns: int, expected: float) -> None:
    truth = torch.ones(10, 10, dtype=torch.bool)
    assert SCRIPT_MODULE.overlap(torch.arange(10).expand(10, 10) < columns, truth) == expected
    assert SCRIPT_MODULE.overlap(~truth, ~truth) == 1.0


def test_a_head_learns_what_its_evidence_shows() -> None:
    """The truth is where the first map is positive."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    maps = torch.randn(12, 10, 16, 20)
    maps[:, 0] = torch.nn.functional.avg_pool2d(maps[:, :1], 5, 1, 2)[:, 0] * 5
    examples = [SCRIPT_MODULE.Example(each, (each[0] > 0).float(), 0.25) for each in maps]
    head = MaskHead()
    given, before = SCRIPT_MODULE.scores(head, examples)
    SCRIPT_MODULE.fit(head, examples, steps=60, seed=0)
    _, after = SCRIPT_MODULE.scores(head.eval(), examples)
    assert given == 0.25 and before < 0.7 and after > 0.85
