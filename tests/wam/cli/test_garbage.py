"""How often Python looks for garbage while a command starts."""

from __future__ import annotations

import gc

from wam.cli.garbage import collect_as_usual, collect_rarely


def test_it_looks_less_often_only_until_the_model_is_there() -> None:
    usual, frozen = gc.get_threshold(), gc.get_freeze_count()
    try:
        collect_as_usual(keep=True)  # nothing was begun: a process with many commands keeps nothing
        assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, frozen)
        collect_rarely()
        assert gc.get_threshold() > usual
        collect_as_usual()
        assert (gc.get_threshold(), gc.get_freeze_count()) == (usual, frozen)
        collect_rarely()
        collect_as_usual(keep=True)
        assert gc.get_threshold() == usual and gc.get_freeze_count() > frozen
    finally:
        gc.unfreeze()
        gc.set_threshold(*usual)
