"""Attacks on watermarked images: named, repeatable, on batches of tensors and their masks."""

from attacks.base import Attack, AttackResult, Params, UnknownAttackError
from attacks.combined import Chain
from attacks.recipes import Recipe, composite, parse_recipe, recipe_names
from attacks.registry import make, names, parse
from attacks.scenes import Placement, Scene, collage_scene, regions_scene
from attacks.suites import GROUPS, scene_suite, suite

__all__ = [
    "GROUPS",
    "Attack",
    "AttackResult",
    "Chain",
    "Params",
    "Placement",
    "Recipe",
    "Scene",
    "UnknownAttackError",
    "collage_scene",
    "composite",
    "make",
    "names",
    "parse",
    "parse_recipe",
    "recipe_names",
    "regions_scene",
    "scene_suite",
    "suite",
]
