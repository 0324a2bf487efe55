"""How many files are in memory at a time."""

from __future__ import annotations

import threading

from wam.jobs.engines.local import Gate


def test_the_gate_counts_pixels_and_lets_a_large_picture_in_alone() -> None:
    gate, entered = Gate(most=10), threading.Event()

    def large() -> None:
        with gate.passing(99):
            entered.set()

    with gate.passing(6), gate.passing(4):
        thread = threading.Thread(target=large)
        thread.start()
        assert not entered.wait(0.05)
    thread.join(timeout=5)
    assert entered.is_set() and gate.inside == 0
