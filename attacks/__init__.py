"""Attacks on watermarked images: named, repeatable, on batches of tensors and their masks."""

from attacks.adversary import ADVERSARIES, Adversary, Aim, Need, adversary_names, parse_adversary
from attacks.base import Attack, AttackResult, Params, UnknownAttackError
from attacks.combined import Chain
from attacks.means import Means, Outcome
from attacks.recipes import Recipe, composite, parse_recipe, recipe_names
from attacks.registry import lacks, make, names, parse
from attacks.scenes import Placement, Scene, collage_scene, regions_scene
from attacks.suites import GROUPS, adversary_suite, scene_suite, suite

__all__ = [
    "ADVERSARIES",
    "GROUPS",
    "Adversary",
    "Aim",
    "Attack",
    "AttackResult",
    "Chain",
    "Means",
    "Need",
    "Outcome",
    "Params",
    "Placement",
    "Recipe",
    "Scene",
    "UnknownAttackError",
    "adversary_names",
    "adversary_suite",
    "collage_scene",
    "composite",
    "lacks",
    "make",
    "names",
    "parse",
    "parse_adversary",
    "parse_recipe",
    "recipe_names",
    "regions_scene",
    "scene_suite",
    "suite",
]
