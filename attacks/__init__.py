"""Attacks on watermarked images: named, repeatable, on batches of tensors and their masks."""

from attacks.base import Attack, AttackResult, Params
from attacks.combined import Chain
from attacks.composite import Placement, Scene, collage_scene, regions_scene
from attacks.registry import make, names, parse
from attacks.suites import GROUPS, suite

__all__ = [
    "GROUPS",
    "Attack",
    "AttackResult",
    "Chain",
    "Params",
    "Placement",
    "Scene",
    "collage_scene",
    "make",
    "names",
    "parse",
    "regions_scene",
    "suite",
]
