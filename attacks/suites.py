"""The attacks of the evaluation protocol, by group, and the WAM paper's."""

from __future__ import annotations

from attacks.base import Attack, UnknownAttackError
from attacks.recipes import Recipe, parse_recipe
from attacks.registry import make

_ROWS: dict[str, str] = {
    "none": "identity",
    "valuemetric": """
        jpeg 90 80 70 60 50 40 · webp 80 50 · brightness .5 1.5 2 · contrast .5 1.5 2
        · saturation .5 1.5 2 · hue -.2 -.1 .1 .2 · grayscale · gamma .7 1.4 · gaussian_blur 3 9 17
        · median 3 5 7 · gaussian_noise .02 .05 · sharpness 2 · posterize 4""",
    "geometric": """
        resize .32 .5 .75 1.5 · thumbnail 150 · crop .1 .2 .33 .5 .71 · crop_keep .1 .2 .33 .5 .71
        · rotate 5 10 30 45 90 180 · hflip · vflip · perspective .1 .3 .5 · pad .5
        · aspect .8 1.25""",
    "splicing": """
        proportion .1 .25 · collage .1 .25 · inpaint .3 · overlay_text 1 · overlay_logo 1""",
    "combined": "combination · screenshot · social",
}

GROUPS = tuple(_ROWS)  # the groups of the protocol, in its order

_SCENES = "multi 1 2 3 4 5 · multi_flip 1 2 3 4 5 · multi_jpeg 1 2 3 4 5 · composite 2 3 4"

_WAM = """
    identity · crop_keep .2 .5 · resize .5 · rotate -10 10 · perspective .1 .5 · hflip
    · brightness 1.5 2 · contrast 1.5 2 · hue -.1 .1 · saturation 1.5 2 · median 3 7
    · gaussian_blur 3 17 · jpeg 50 80 · inpaint .3 · proportion .1 · collage .1 · combination"""
# Rows of Table 7 and Appendix D.4 of Sander et al., Watermark Anything with Localized Messages.


def suite(name: str) -> tuple[Attack, ...]:
    """The attacks of a group of the protocol, of all groups ("all") or of the WAM paper ("wam").

    >>> suite("combined")
    (combination, screenshot, social)
    """
    if name == "all":
        return tuple(attack for group in GROUPS for attack in suite(group))
    tables = {**_ROWS, "wam": _WAM}
    if name not in tables:
        raise UnknownAttackError(f"expected a suite, found {name!r}; known: all, {', '.join(tables)}")
    return _read(tables[name])


def scene_suite() -> tuple[Recipe, ...]:
    """The scenes with several marks, for ``composite``."""
    rows = (row.split() for row in _SCENES.split("·"))
    return tuple(parse_recipe(f"{name}={count}") for name, *counts in rows for count in counts)


def _read(table: str) -> tuple[Attack, ...]:
    attacks: list[Attack] = []
    for row in table.split("·"):
        name, *strengths = row.split()
        attacks += [make(name, float(strength)) for strength in strengths] or [make(name)]
    return tuple(attacks)
