"""Names, strengths and what is said when they are wrong."""

import doctest
from collections.abc import Callable
from types import ModuleType

import pytest
import torch

import attacks
from attacks import parse, registry, suites


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("jpeg=80", "jpeg=80"),
        (" jpeg=80.0 , crop=.5 ", "jpeg=80,crop=0.5"),
        ("overlay_text", "overlay_text=1"),
        ("hue=-0.10", "hue=-0.1"),
        ("gaussian_noise=1e-3", "gaussian_noise=0.001"),
    ],
)
def test_repr_is_the_shortest_spelling(text: str, expected: str) -> None:
    assert repr(parse(text)) == expected


def test_odd_strengths_survive_repr() -> None:
    assert parse(repr(registry.make("crop", 1 / 3))) == registry.make("crop", 1 / 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("jpg=80", "known: identity, brightness"),
        ("", "expected an attack, found ''"),
        ("jpeg", "jpeg: expected a whole number from 1 to 100, as in jpeg=100; found none"),
        ("jpeg=0", "found 0"),
        ("jpeg=80.5", "a whole number"),
        ("median=4", "an odd number"),
        ("crop=1.2", "from 0.01 to 1"),
        ("rotate=nan", "found nan"),
        ("rotate=ten", "rotate: expected a number, found 'ten'"),
        ("hflip=1", "hflip: expected no strength, found 1"),
        ("social=1", "social: expected no strength, found 1"),
    ],
)
def test_errors_say_what_is_legal(text: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        parse(text)
    assert message in str(error.value)


@pytest.mark.parametrize(
    ("images", "options"),
    [
        (torch.zeros(3, 8, 8), {}),
        (torch.zeros(1, 4, 8, 8), {}),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), {}),
        (torch.zeros(1, 3, 8, 8), {"masks": torch.zeros(1, 8, 8)}),
        (torch.zeros(1, 3, 8, 8), {"masks": torch.zeros(1, 1, 8, 9)}),
        (torch.zeros(1, 3, 8, 8), {"masks": torch.zeros(1, 1, 8, 8, dtype=torch.bool)}),
        (torch.zeros(1, 3, 8, 8), {"originals": torch.zeros(1, 3, 8, 9)}),
        (torch.zeros(1, 3, 8, 8), {"backgrounds": torch.zeros(2, 3, 8, 8)}),
        (torch.zeros(1, 3, 8, 8), {"seed": 1, "generator": torch.Generator()}),
    ],
)
def test_wrong_tensors_are_refused(images: torch.Tensor, options: dict) -> None:
    with pytest.raises(ValueError, match="expected"):
        parse("hflip")(images, **options)


def test_parameters_of_another_draw_are_refused() -> None:
    images = torch.zeros(2, 3, 8, 8)
    crop, rotate = parse("crop=0.5"), parse("rotate=5")
    with pytest.raises(ValueError, match="2 values"):
        crop.apply(images, crop.sample(3))
    with pytest.raises(ValueError, match="left"):
        crop.apply(images, rotate.sample(2))


@pytest.mark.parametrize("unknown", ["jpg=80", "hflip,blur", "jpgs"])
def test_unknown_names_are_an_error_of_their_own(unknown: str) -> None:
    with pytest.raises(attacks.UnknownAttackError, match="known: identity, brightness"):
        parse(unknown)


@pytest.mark.parametrize("ask", [attacks.suite, attacks.parse_recipe])
def test_unknown_suites_and_scenes_are_too(ask: Callable[[str], object]) -> None:
    with pytest.raises(attacks.UnknownAttackError, match="known: "):
        ask("jpeg=80")


def test_a_wrong_strength_of_a_known_attack_is_not() -> None:
    with pytest.raises(ValueError, match="jpeg: expected") as raised:
        parse("jpeg=0")
    assert not isinstance(raised.value, attacks.UnknownAttackError)


@pytest.mark.parametrize(
    ("text", "name", "strength"),
    [
        ("jpeg=80", "jpeg", 80.0),
        ("overlay_text", "overlay_text", 1.0),
        ("hflip", "hflip", None),
        ("social", "social", None),
        ("jpeg=80,crop=.5", "", None),
    ],
)
def test_attacks_tell_their_name_and_strength(text: str, name: str, strength: float | None) -> None:
    attack = parse(text)
    assert (attack.name, attack.strength) == (name, strength)


def test_attacks_tell_what_they_apply() -> None:
    assert parse("perspective=.3").applies("perspective")
    chain = parse("jpeg=80,social,perspective=.3")
    assert all(chain.applies(name) for name in ("jpeg", "social", "perspective"))
    assert not chain.applies("crop") and not chain.applies("")


def test_public_names_are_there() -> None:
    assert attacks.__all__ == sorted(attacks.__all__, key=lambda name: (not name.isupper(), name))
    assert all(hasattr(attacks, name) for name in attacks.__all__)


@pytest.mark.parametrize("module", [registry, suites])
def test_examples_in_docstrings_run(module: ModuleType) -> None:
    results = doctest.testmod(module)
    assert results.attempted > 0 and results.failed == 0
