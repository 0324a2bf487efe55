"""Python's search for unreachable objects, while a command starts and after it.

Hundreds of modules are loaded for a network, and none of what they make is garbage; but Python goes through all of it
again and again meanwhile, and once more as it ends: .2 s and .4 s of 2.1 s that ``import torch`` takes in all.
"""

from __future__ import annotations

import gc

_RARELY = (20_000, 50, 100)  # objects more than at the last search, and how often older ones are gone through
_usual: list[tuple[int, int, int]] = []


def collect_rarely() -> None:
    """While modules are loaded: Python looks for garbage less often, until ``collect_as_usual``, which whatever goes on
    for long calls when it begins."""
    _usual.append(gc.get_threshold())
    gc.set_threshold(*_RARELY)


def collect_as_usual(*, keep: bool = False) -> None:
    """Looks for garbage as often as Python does. ``keep``: passes over all that was loaded, to the end; only after
    ``collect_rarely``, as a process with many commands would keep what each leaves."""
    if _usual:
        if keep:
            gc.freeze()
        gc.set_threshold(*_usual.pop())
