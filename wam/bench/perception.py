"""What eyes see of a difference, by two published models, each where its package is installed.

ColorVideoVDP (Mantiuk et al., 2024; package ``cvvdp``): just-objectionable differences of a still picture, 10 where
there is none; lower is worse. FLIP (Andersson et al., 2020; package ``flip-evaluator``): the mean difference that is
seen when two pictures are flipped between, 0 where there is none; higher is worse. Both are the extra ``visibility``;
nothing is imported before it is asked for.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

import numpy as np

from wam.packages import DISTRIBUTIONS, EXTRAS
from wam.pictures.samples import Pixels

DISPLAY = "standard_4k"  # ColorVideoVDP's name for a 30 inch 4K screen of 200 cd/m2 seen from .75 m
MOST_PIXELS = 2**21  # of larger pictures the middle is compared: some seconds on a CPU
MODULES = {"cvvdp_jod": "pycvvdp", "flip": "flip_evaluator"}
TITLES = {"cvvdp_jod": "ColorVideoVDP", "flip": "FLIP"}


def absent() -> tuple[str, ...]:
    """The figures whose packages are not installed."""
    return tuple(name for name, module in MODULES.items() if find_spec(module) is None)


def perceived(marked: Pixels, original: Pixels) -> dict[str, float]:
    """``cvvdp_jod`` and ``flip`` of two (H, W, 3) uint8 sRGB pictures, without what is not installed."""
    without = absent()
    first, second = _middle(marked), _middle(original)
    found = {}
    if "cvvdp_jod" not in without:
        found["cvvdp_jod"] = _jod(first, second)
    if "flip" not in without:
        found["flip"] = _flip(first, second)
    return found


def how_to_install(names: Sequence[str]) -> str:
    """One phrase for what is missing.

    >>> how_to_install(["flip"])
    'FLIP is not measured: pip install flip-evaluator  # the extra [visibility]'
    """
    titles = " and ".join(TITLES[name] for name in names)
    packages = " ".join(DISTRIBUTIONS[MODULES[name]] for name in names)
    verb = "is" if len(names) == 1 else "are"
    return f"{titles} {verb} not measured: pip install {packages}  # the extra [{EXTRAS[MODULES[names[0]]]}]"


def described() -> str:
    """What measures, in which version, for the captions."""
    without = absent()
    known = [f"{TITLES[name]} {_version(module)}" for name, module in MODULES.items() if name not in without]
    texts = [", ".join(known)] if known else []
    if known:
        texts.append(f"display {DISPLAY}, of larger pictures the middle {MOST_PIXELS / 1e6:.1f} megapixels")
    return "; ".join([*texts, *([how_to_install(without)] if without else [])])


def _version(module: str) -> str:
    try:
        return version(DISTRIBUTIONS[module])
    except PackageNotFoundError:  # a copy without its metadata
        return "of an unknown version"


def _middle(pixels: Pixels) -> Pixels:
    """The middle of a picture, of its shape, with at most ``MOST_PIXELS``."""
    height, width = pixels.shape[:2]
    share = min(1.0, (MOST_PIXELS / (height * width)) ** 0.5)
    rows, columns = int(height * share), int(width * share)
    top, left = (height - rows) // 2, (width - columns) // 2
    return np.ascontiguousarray(pixels[top : top + rows, left : left + columns])


def _jod(marked: Pixels, original: Pixels) -> float:
    with _quietly():
        found, _ = _cvvdp().predict(marked, original, dim_order="HWC")
    return float(found)


@lru_cache(maxsize=1)
def _cvvdp() -> Any:
    """The metric, on the CPU wherever the model runs: the same figure on every machine, but for rounding."""
    import torch
    from pycvvdp import cvvdp

    return cvvdp(display_name=DISPLAY, device=torch.device("cpu"), quiet=True)


def _flip(marked: Pixels, original: Pixels) -> float:
    with _quietly():
        from flip_evaluator import evaluate

        first, second = (pixels.astype(np.float32) / 255 for pixels in (original, marked))
        _, mean, _ = evaluate(first, second, "LDR", applyMagma=False)
    return float(mean)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without what the packages say of their own code, and of machines without CUDA, when they are first imported."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
