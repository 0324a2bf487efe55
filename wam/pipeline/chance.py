"""What is said of a chance to people: a bound that a test bears out, never the model's own number beyond it.

The model's number, ``log10_p`` in the JSON, is the tail of a distribution that was fitted to a few hundred scores and
goes on far beyond all that was ever tested; it orders marks, and is no evidence of its own size.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True)
class Tested:
    """A run over unmarked pictures, every picture counted once: ``alarms`` of ``pictures`` had a mark reported in any
    of their ``views``; a wrong record was named in ``misnamed`` of ``readings``, which are these views and those with
    marks of another registry or key. ``model`` and ``search`` that read them; ``source``: the table of the run;
    ``limits``: what weakens it."""

    pictures: int
    alarms: int
    views: int
    misnamed: int
    readings: int
    model: str
    search: str
    source: str
    limits: str

    @property
    def bound(self) -> float:
        """Of the share of pictures with a report: 95%, one-sided, exact (Clopper and Pearson 1934)."""
        return _upper(self.alarms, self.pictures)

    @property
    def misnamed_bound(self) -> float:
        """The same of the share of readings with a wrong record."""
        return _upper(self.misnamed, self.readings)


def _upper(count: int, total: int) -> float:
    """The upper end of the interval; of none it is 1 - .05^(1/total)."""
    if count:
        from scipy.stats import beta

        return float(beta.ppf(0.95, count + 1, total - count))
    return float(1 - 0.05 ** (1 / total))


TESTED = Tested(
    pictures=2344,
    alarms=0,
    views=2344,
    misnamed=0,
    readings=2638,
    model="lattice32@e47c9c4e",
    search="4ade9941c4a6beba",
    source="checkpoints/null-independent.csv",
    limits="pictures of one of some hundred collections are alike, and most are photos of .1 to .3 megapixels",
)
"""``tests/wam/pipeline/test_chance.py`` counts the table again."""
LEAST = math.log10(TESTED.bound)
"""The smallest chance that was tested, as log10."""

NAME_IF = "if another registry with the same key, or also without one, made the mark"
"""What the chance of a wrong name is of: marks of other keys are not read at all."""


def is_tested(name: str, same_as: Collection[str], search: str | None) -> bool:
    """Whether ``TESTED`` speaks of a model of that name, which reads like those of ``same_as``, with that search."""
    return TESTED.model in (name, *same_as) and search == TESTED.search


def meaning() -> tuple[str, str]:
    """What a match of the tested model means, in the two sentences of docs/what-a-match-means.md."""
    from payload.layout import ID_COUNT  # brings NumPy, which who only prints a chance does not need

    tested = TESTED
    return (
        f"An unmarked picture was never reported as marked: {tested.alarms} of {tested.pictures:,} pictures, which "
        f"bears out a rate below {_percent(tested.bound)} (95% confidence), and no smaller one.",
        f"A wrong record was never named: {tested.misnamed} of {tested.readings:,} readings, below "
        f"{_percent(tested.misnamed_bound)} if they count as independent; but without a key a mark of another registry "
        f"is one of your N words with a chance of N / {ID_COUNT:,}.",
    )


def _percent(share: float) -> str:
    """With two digits after the point, rounded up, as .14%."""
    return f"{math.ceil(share * 1e4 - 1e-9) / 1e2:.2f}%".removeprefix("0")


def show_chance(log10_p: float) -> str:
    """The chance of a mark as people are told it: no smaller than what was tested.

    >>> show_chance(-45.0), show_chance(-2.0)
    ('< 1.3e-3, tested', '1e-2')
    """
    if log10_p > LEAST:
        return f"1e{log10_p:.0f}"
    return f"{smallest_shown()}, tested"


def in_figures(log10_p: float) -> str:
    """A chance that was reckoned, to one figure.

    >>> in_figures(-2.3), in_figures(-5.75), in_figures(-12.0)
    ('5e-3', '2e-6', '1e-12')
    """
    return f"{10**log10_p:.0e}".replace("e-0", "e-")


def borne_out(log10_p: float) -> float:
    """The same as a number, an upper bound: ``LEAST`` for all that are no larger, the next power of ten for the others.

    >>> borne_out(-45.0) == LEAST, show_chance(borne_out(-45.0)) == show_chance(-45.0), borne_out(-1.3)
    (True, True, -1.0)
    """
    return LEAST if log10_p <= LEAST else float(math.ceil(log10_p))


def smallest_shown() -> str:
    """The smallest chance that people are told.

    >>> smallest_shown()
    '< 1.3e-3'
    """
    return f"< {_up(TESTED.bound)}"


def _up(share: float) -> str:
    """A share with two digits, rounded up, as 1.3e-3."""
    exponent = math.floor(math.log10(share))
    digits = math.ceil(share / 10**exponent * 10 - 1e-9) / 10
    if digits >= 10:
        digits, exponent = digits / 10, exponent + 1
    return f"{digits:.1f}e{exponent}"
