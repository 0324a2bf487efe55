"""The attacks of the evaluation protocol, by group, and the WAM paper's."""

from __future__ import annotations

from attacks.adversary import Adversary, parse_adversary
from attacks.base import Attack, UnknownAttackError
from attacks.recipes import Recipe, parse_recipe
from attacks.registry import lacks, make

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

_ADVERSARY = """
    fold 38 40 42 · fold_fitted · fold_10 40 · fold_100 40 · fold_aligned 40
    · copy 40 · copy_10 40 · copy_100 40 · copy_aligned 40 · transfer
    · gradient 40 44 · gradient_fitted 40 · overmark · oracle 40 · oracle_blur 40"""
_ADVERSARY_KEYED = """
    fold 38 40 42 · fold_fitted · fold_10 40 · fold_aligned 40 · copy 40 · transfer
    · gradient 40 · gradient_fitted 40 · overmark"""
_ADVERSARY_PLAIN = """
    jpeg 20 10 · webp 10 · avif 25 12 · jpeg_2000 50 100 · jxl 20 10 · heic 20 10
    · oidn · waifu2x 1 3 · waifu2x_photo 1 .5 · span 1 .5
    · ic_defocus_blur 1 3 · ic_glass_blur 3 · ic_motion_blur 3 · ic_zoom_blur 3 · ic_fog 3 · ic_frost 3 · ic_snow 3
    · ic_spatter 3 · ic_elastic_transform 3 · ic_pixelate 3 · ic_saturate 3
    · augly_pixelization .3 .5 · augly_shuffle_pixels .1 · augly_overlay_stripes · augly_overlay_emoji
    · augly_overlay_text · nl_means .05 .1 · tv .1 .2 · cv_nl_means 5 10 · cv_bilateral 80 · median 5 9
    · whatsapp · whatsapp_forwarded · wechat · instagram · x_small · cdn
    · screenshot_125 · screenshot_150 · phone_photo · print_scan · newspaper"""
# What somebody does who wants a mark gone, or on another picture; the plain ones are at the price of the picture.


def adversary_suite() -> tuple[tuple[Adversary, ...], tuple[Adversary, ...], tuple[Attack, ...]]:
    """The adversaries on public marks and on keyed ones, and the plain attacks whose packages are installed."""
    public, keyed = (tuple(map(parse_adversary, _spelled(table))) for table in (_ADVERSARY, _ADVERSARY_KEYED))
    return public, keyed, tuple(attack for attack in _read(_ADVERSARY_PLAIN) if lacks(attack.name) is None)


def missing_packages() -> tuple[str, ...]:
    """The modules for want of which plain attacks of an adversary are left out."""
    found = (lacks(attack.name) for attack in _read(_ADVERSARY_PLAIN))
    return tuple(dict.fromkeys(module for module in found if module is not None))


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


def _spelled(table: str) -> list[str]:
    """``name`` or ``name=strength`` of each row."""
    rows = (row.split() for row in table.split("·"))
    return [f"{name}={one}" if one else name for name, *strengths in rows for one in strengths or [""]]


def _read(table: str) -> tuple[Attack, ...]:
    attacks: list[Attack] = []
    for row in table.split("·"):
        name, *strengths = row.split()
        attacks += [make(name, float(strength)) for strength in strengths] or [make(name)]
    return tuple(attacks)
