"""The rows of the protocol: an attack, a scene with several marks, or a picture without a mark that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from attacks import (
    GROUPS,
    Adversary,
    Attack,
    Recipe,
    UnknownAttackError,
    adversary_names,
    adversary_suite,
    parse,
    parse_adversary,
    parse_recipe,
    recipe_names,
    scene_suite,
    suite,
)

UNMARKED, WRONG_KEY = "unmarked", "wrong_key"
FLOOR = ("identity", "jpeg=80", "jpeg=50", "rotate=10", "rotate=45", "crop=0.5", "collage=0.25")
NEGATIVE_ATTACKS = ("identity", "jpeg=50", "rotate=10", "resize=0.5")
ADVERSARY, KEYED = "adversary", "adversary_keyed"  # what precedes the rows of an adversary, by the mark's key
SUITES = ("all", "wam", "floor", *GROUPS, "multi", ADVERSARY)
ALL_GROUPS = (*GROUPS, "multi", ADVERSARY, "unmarked")


@dataclass(frozen=True)
class Row:
    """One line of the tables.

    ``attack``: what the marked photo goes through; ``recipe``: a scene instead, with several marks; ``null``:
    ``UNMARKED`` or ``WRONG_KEY`` where every detection is a false alarm; ``foe``: ``ADVERSARY`` or ``KEYED`` where the
    price of the attack is measured as well, which is then ``attack``, or ``adversary`` where it needs more than pixels.
    """

    attack: Attack | None = None
    recipe: Recipe | None = None
    null: str | None = None
    adversary: Adversary | None = None
    foe: str | None = None

    @property
    def name(self) -> str:
        """What ``--attacks`` reads back."""
        if self.recipe is not None:
            return repr(self.recipe)
        spelled = repr(self.adversary or self.attack).replace(",", "+")
        if self.foe is not None:
            return f"{self.foe}+{spelled}"
        if self.null is None:
            return spelled
        return self.null if spelled == "identity" else f"{self.null}+{spelled}"

    @property
    def group(self) -> str:
        """The group of the protocol, "adversary" or "unmarked"."""
        if self.foe is not None:
            return ADVERSARY
        if self.null is not None:
            return "unmarked"
        if self.recipe is not None:
            return self.recipe.group
        assert self.attack is not None
        return self.attack.group

    @property
    def costly(self) -> bool:
        """Whether every resolution is searched, which takes ten times as long as reading a whole marked photo."""
        bent = self.attack is not None and self.attack.applies("perspective")
        return bent or self.group in ("splicing", "multi")

    @property
    def swept(self) -> tuple[str, float] | None:
        """Name and strength of the one attack on a marked photo, which a plot over strengths is drawn of; else None."""
        if self.attack is None or self.null is not None or self.foe is not None or self.attack.strength is None:
            return None
        return self.attack.name, self.attack.strength


def choose_rows(names: str) -> list[Row]:
    """The rows of ``--attacks``: suites (``SUITES``), attacks, scenes, "unmarked"; each row once.

    Rows are separated by commas, the steps of one row by plus signs. Raises ``ValueError`` for what is not known.

    >>> [row.name for row in choose_rows("jpeg=80+crop=0.5,multi=2,unmarked")]
    ['jpeg=80+crop=0.5', 'multi=2', 'unmarked']
    """
    rows = [row for name in names.split(",") for row in _expand(name.strip())]
    return list({row.name: row for row in rows}.values())


def negative_rows(attacks: Sequence[str] = NEGATIVE_ATTACKS) -> list[Row]:
    """Unmarked photos under attacks, and photos that carry a mark of another key."""
    unmarked = [Row(attack=parse(name), null=UNMARKED) for name in attacks]
    return [*unmarked, Row(attack=parse("identity"), null=WRONG_KEY)]


def _expand(name: str) -> list[Row]:
    if name == "all":
        return [*map(Row, suite("all")), *_scenes(), Row(attack=parse("identity"), null=UNMARKED)]
    if name == "multi":
        return _scenes()
    if name == "floor":
        return [Row(parse(attack)) for attack in FLOOR]
    if name == ADVERSARY:
        public, keyed, plain = adversary_suite()
        rows = [Row(adversary=each, foe=ADVERSARY) for each in public]
        rows += [Row(adversary=each, foe=KEYED) for each in keyed]
        return [*rows, *(Row(attack=each, foe=ADVERSARY) for each in plain)]
    if name == "wam" or name in GROUPS:
        return [Row(attack) for attack in suite(name)]
    first, _, rest = name.partition("+")
    if first in (UNMARKED, WRONG_KEY):
        return [Row(attack=parse(rest.replace("+", ",") or "identity"), null=first)]
    if first in (ADVERSARY, KEYED):
        if rest.partition("=")[0] in adversary_names():
            return [Row(adversary=parse_adversary(rest), foe=first)]
        return [Row(attack=parse(rest.replace("+", ",")), foe=first)]
    if name.partition("=")[0] in recipe_names():
        return [Row(recipe=parse_recipe(name))]
    try:
        return [Row(parse(name.replace("+", ",")))]
    except UnknownAttackError as error:
        suites, scenes = ", ".join(SUITES), ", ".join(recipe_names())
        raise UnknownAttackError(f"{error}; suites: {suites}; scenes: {scenes}") from error


def _scenes() -> list[Row]:
    return [Row(recipe=recipe) for recipe in scene_suite()]
