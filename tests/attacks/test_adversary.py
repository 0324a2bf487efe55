"""What an adversary does with more than one picture's pixels, against a pattern that is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from attacks import (
    ADVERSARIES,
    UnknownAttackError,
    adversary_names,
    adversary_suite,
    lacks,
    parse_adversary,
)

TILE = 32
BAND = (3.0, 10.3)
SIZE = (160, 192)


def pattern(size: tuple[int, int]) -> Tensor:
    """(1, 1, H, W): waves of the band with fixed phases, repeating every tile, of unit variance."""
    generator = torch.Generator().manual_seed(11)
    y, x = torch.meshgrid(torch.arange(size[0]) + 0.5, torch.arange(size[1]) + 0.5, indexing="ij")
    total = torch.zeros(size)
    for kx, ky in [(3, 4), (-5, 6), (7, 2), (0, 8), (-2, 9), (9, 3)]:
        phase = torch.rand(1, generator=generator) * 2 * torch.pi
        total += torch.cos(2 * torch.pi * (kx * x + ky * y) / TILE + phase)
    return (total / total.std())[None, None]


def photo(seed: int) -> Tensor:
    """(1, 3, H, W) 8-bit values: smooth colours with a little grain."""
    generator = torch.Generator().manual_seed(seed)
    smooth = F.interpolate(torch.rand(1, 3, 6, 7, generator=generator), SIZE, mode="bicubic")
    grain = torch.randn(1, 3, *SIZE, generator=generator) / 255
    return (((0.2 + 0.6 * smooth + grain).clamp(0, 1)) * 255).round() / 255


def marked_like(picture: Tensor, levels: float = 2.0) -> Tensor:
    return ((picture + levels / 255 * pattern(SIZE)).clamp(0, 1) * 255).round() / 255


def agreement(image: Tensor) -> float:
    """How much of the pattern an image holds, in 8-bit levels."""
    grey = image.mean(1, keepdim=True)
    fine = grey - F.avg_pool2d(F.pad(grey, (8, 8, 8, 8), mode="replicate"), 17, 1)
    return float((fine * pattern(SIZE)).mean()) * 255


@dataclass
class KnownMeans:
    """Everything an adversary may have; the detector says whether half a level of the pattern is there."""

    seed: int = 0
    tile: int = TILE
    band: tuple[float, float] = BAND
    asked: list[bool] = field(default_factory=list)
    given: int = 0

    def steps(self, height: int, width: int) -> tuple[float, float]:
        return 1.0, 1.0

    def others(self, count: int) -> Iterator[Tensor]:
        for number in range(count):
            self.given += 1
            yield marked_like(photo(100 + number))

    def original(self) -> Tensor:
        return photo(self.seed)

    def target(self) -> Tensor:
        return photo(50)

    def estimate(self, image: Tensor) -> Tensor:
        grey = image.mean(1, keepdim=True)
        return (grey - F.avg_pool2d(grey, 9, 1, 4, count_include_pad=False)) * 255

    def is_marked(self, image: Tensor) -> bool:
        self.asked.append(agreement(image) > 0.5)
        return self.asked[-1]

    def mark(self, image: Tensor) -> Tensor:
        return ((image + 2 / 255 * pattern(SIZE).flip(3)).clamp(0, 1) * 255).round() / 255


def psnr(first: Tensor, second: Tensor) -> float:
    return -10 * float((first - second).square().mean().log10())


@pytest.mark.parametrize("name", ["fold=40", "fold_10=40", "fold_aligned=40", "gradient=40"])
def test_what_is_subtracted_is_the_mark_at_the_price_that_was_asked(name: str) -> None:
    marked = marked_like(photo(0))
    outcome = parse_adversary(name).attack(marked, KnownMeans())
    assert psnr(outcome.image, marked) == pytest.approx(40, abs=0.1)
    assert torch.equal(outcome.reference, marked)
    assert agreement(outcome.image) < 0.4 * agreement(marked)


@pytest.mark.parametrize("name", ["fold_fitted", "gradient_fitted=36"])
def test_what_is_fitted_leaves_neither_the_mark_nor_its_negative(name: str) -> None:
    marked = marked_like(photo(0), levels=3.0)
    outcome = parse_adversary(name).attack(marked, KnownMeans())
    assert abs(agreement(outcome.image)) < 0.25 * agreement(marked) and psnr(outcome.image, marked) > 36


@pytest.mark.parametrize("name", ["copy=40", "copy_10=40", "copy_aligned=40", "transfer"])
def test_a_mark_is_forged_onto_a_picture_that_never_had_it(name: str) -> None:
    adversary = parse_adversary(name)
    means = KnownMeans()
    outcome = adversary.attack(marked_like(photo(0)), means)
    assert adversary.aim == "forge"
    assert torch.equal(outcome.reference, means.target())
    assert abs(agreement(means.target())) < 0.2 < 1 < agreement(outcome.image)


def test_a_bent_pattern_is_straightened_before_it_is_folded() -> None:
    y, x = torch.meshgrid(torch.arange(SIZE[0]), torch.arange(SIZE[1]), indexing="ij")
    bends = torch.stack([torch.sin(y / 20 + x / 31), torch.sin(x / 24 - y / 27 + 1)]) * 1.7
    places = torch.stack([x + bends[0], y + bends[1]], -1)[None] % TILE
    tile = F.pad(pattern((TILE, TILE)), (1, 1, 1, 1), mode="circular")
    grid = (places + 1.5) * 2 / (TILE + 2) - 1
    bent = F.grid_sample(tile, grid, mode="bicubic", align_corners=False)
    plain = photo(0)
    marked = ((plain + 2 / 255 * bent).clamp(0, 1) * 255).round() / 255

    def left(name: str) -> float:
        change = parse_adversary(name).attack(marked, KnownMeans()).image - plain
        return float((change.mean(1, keepdim=True) * bent).mean()) * 255

    assert left("fold_aligned=40") < 0.4 * left("fold=40")


def test_more_pictures_make_a_better_estimate() -> None:
    busy = marked_like(photo(0) * 0.9 + 0.05 * torch.rand(1, 3, *SIZE, generator=torch.Generator().manual_seed(1)))
    left = []
    for name in ("fold=42", "fold_100=42"):
        means = KnownMeans()
        left.append(agreement(parse_adversary(name).attack(busy, means).image))
        assert means.given == (99 if "100" in name else 0)
    assert left[1] < left[0]


def test_an_oracle_stops_at_the_border_and_counts_what_it_asked() -> None:
    means = KnownMeans()
    marked = marked_like(photo(0))
    outcome = parse_adversary("oracle=40").attack(marked, means)
    assert outcome.queries == len(means.asked) <= 40
    assert True in means.asked and False in means.asked
    assert not KnownMeans().is_marked(outcome.image)
    assert psnr(outcome.image, marked) > 40


def test_an_oracle_asks_no_more_than_it_may() -> None:
    means = KnownMeans()
    assert parse_adversary("oracle_blur=5").attack(marked_like(photo(0), 9.0), means).queries == 5 == len(means.asked)


def test_marking_over_leaves_the_first_mark_where_it_is() -> None:
    marked = marked_like(photo(0))
    outcome = parse_adversary("overmark").attack(marked, KnownMeans())
    assert not torch.equal(outcome.image, marked)
    assert agreement(outcome.image) == pytest.approx(agreement(marked), abs=0.5)


@pytest.mark.parametrize("name", adversary_names())
def test_the_same_means_give_the_same_picture(name: str) -> None:
    marked = marked_like(photo(0))
    first, second = (parse_adversary(name).attack(marked, KnownMeans()).image for _ in range(2))
    assert torch.equal(first, second)
    assert torch.allclose((first * 255).round(), first * 255, atol=1e-3)


def test_names_read_back() -> None:
    public, keyed, plain = adversary_suite()
    assert {adversary.name for adversary in public} == set(ADVERSARIES)
    for adversary in (*public, *keyed):
        assert parse_adversary(repr(adversary)) == adversary
    assert all(lacks(attack.name) is None for attack in plain)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("folds=40", "known: fold, "),
        ("fold=70", "from 20 to 60"),
        ("fold=x", "a number"),
        ("transfer=1", "no strength"),
    ],
)
def test_what_is_not_known_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said) as raised:
        parse_adversary(text)
    assert isinstance(raised.value, UnknownAttackError) == (text == "folds=40")
