"""The script that measures what many generations cost: it reads what it marks, and counts from the first."""

from __future__ import annotations

import pytest
from PIL import Image

from scripts.generations_cost import SAMPLES, chances, labels, measure
from tests.wam.synthetic import handmade_marker, smooth_picture
from wam.watermarker import load

pytestmark = pytest.mark.slow  # a measurement that is made by hand


def test_marks_are_read_with_all_generations_and_ratios_are_of_the_first() -> None:
    pictures = [Image.fromarray(smooth_picture(seed=seed)) for seed in range(2)]
    one, many = measure(handmade_marker(), pictures, [1, 40], rounds=1)
    assert (one["generations"], many["generations"]) == (1, 40)
    assert one["read"] == many["read"] == one["pictures"] == 2
    assert one["marked_ratio"] == one["unmarked_ratio"] == 1
    assert many["marked_ms"] > 0 and many["unmarked_ms"] > 0


def test_the_generation_of_the_marks_is_among_those_in_use() -> None:
    for count in (1, 2, 16, 1024):
        made = [label.generation for label in labels(count, middle=1024)]
        assert 1024 in made and len(set(made)) == count
        assert made == sorted(made, reverse=True)


def test_worn_copies_show_their_label() -> None:
    with Image.open(SAMPLES / "dune.jpg") as image:
        picture = image.convert("RGB").reduce(2)
    said = chances(load(device="cpu"), [picture], 20)
    assert said["copies"] == 6 and said["read"] >= 4
    assert said["label_log10_p_at_most"] < -4
