"""Which words a registry gives out: under which scheme, and of which generation.

A generation is all 2^21 words in the order that the registry's secret gives them. Of the scheme ``word-21``, plain,
there is one: a mark is its word and nothing else. Of ``labelled-21`` a mark also carries a label, of the registry's
namespace and the generation, so that there is another generation when one is used up. A registry may change from one
to the other within its first generation, whose words no two entries share.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from payload.codes.short_link import MOST_GENERATIONS
from payload.errors import RegistryError, RegistryFullError
from payload.layout import ID_COUNT

FIRST_GENERATION = 0
SCHEME = "word-21"  # how a link is made from a serial number: 21 bits and their check bits, see docs/payload.md
LABELLED = "labelled-21"
Scheme = Literal["plain", "labelled"]
SCHEMES: tuple[Scheme, ...] = get_args(Scheme)
STORED: Mapping[Scheme, str] = {"plain": SCHEME, "labelled": LABELLED}  # as records state it


@dataclass(frozen=True)
class Giving:
    """What the next words are: their ``scheme`` as records state it, their ``generation`` and the serial number that
    it begins with; ``labelled_from``: the first generation with labelled words, None where there never was one."""

    scheme: str = SCHEME
    generation: int = FIRST_GENERATION
    first: int = 0
    labelled_from: int | None = None

    def __post_init__(self) -> None:
        sound = self.scheme in STORED.values() and 0 <= self.generation < MOST_GENERATIONS
        labelled = self.labelled_from is not None and 0 <= self.labelled_from <= self.generation
        if not sound or self.first < 0 or (self.scheme == LABELLED) > labelled or (self.generation > 0) > labelled:
            raise ValueError(f"expected a scheme and a generation of this version, found {self}; update wam")
        if self.labelled_from is not None and not labelled:
            raise ValueError(f"expected labelled words from a generation that there is, found {self}; update wam")

    @property
    def name(self) -> Scheme:
        """The scheme as people call it."""
        return "labelled" if self.scheme == LABELLED else "plain"

    @property
    def labelled(self) -> range:
        """The generations whose words may have labels."""
        start = self.generation + 1 if self.labelled_from is None else self.labelled_from
        return range(start, self.generation + 1)

    def free(self, count: int) -> int:
        """How many words of this generation are left after ``count`` allocations in all."""
        return ID_COUNT - (count - self.first)

    def changed_to(self, scheme: Scheme) -> Giving:
        """The same with another scheme; raises ``RegistryError`` for plain words where there are none left."""
        if scheme == "plain" and self.generation > FIRST_GENERATION:
            raise RegistryError(
                f"expected generation {FIRST_GENERATION}, the only one of plain words, found {self.generation}; "
                "start another registry for them"
            )
        labelled_from = self.generation if scheme == "labelled" and self.labelled_from is None else self.labelled_from
        return replace(self, scheme=STORED[scheme], labelled_from=labelled_from)

    def following(self, count: int) -> Giving:
        """The next generation, after ``count`` allocations in all; raises ``RegistryError`` where there is none."""
        if self.scheme != LABELLED:
            raise RegistryError("expected labelled words, found plain ones; run `wam registry scheme labelled` first")
        if self.generation + 1 == MOST_GENERATIONS:
            raise RegistryFullError(f"expected a free generation, found all {MOST_GENERATIONS} used; start another")
        return replace(self, generation=self.generation + 1, first=count)

    def runs(self, count: int, wanted: int) -> Iterator[tuple[Giving, int, int]]:
        """Where so many words that are ``wanted`` come from, after ``count`` allocations: what is given, the serial
        number that a run begins with, and how long it is. Raises ``RegistryFullError`` where plain ones run out."""
        now, left = self, wanted
        while left:
            if now.free(count) == 0 and now.scheme == LABELLED:
                now = now.following(count)
            run = min(left, now.free(count))
            if run == 0 or (run < left and now.scheme != LABELLED):
                free = self.free(count)
                raise RegistryFullError(
                    f"expected a free id, found all {ID_COUNT} allocated; start another registry, or run "
                    "`wam registry scheme labelled`"
                    if free == 0
                    else f"expected {wanted} free ids, found {free}; take fewer at a time"
                )
            yield now, count, run
            count, left = count + run, left - run

    def to_dict(self) -> dict[str, Any]:
        """Give it as an export says it."""
        return {
            "scheme": self.scheme,
            "generation": self.generation,
            "first": self.first,
            "labelled_from": self.labelled_from,
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Giving:
        """Read what ``to_dict`` gives; raises ``ValueError`` or ``KeyError``."""
        found = cls(*(values[name] for name in ("scheme", "generation", "first", "labelled_from")))
        if any(type(number) is not int for number in (found.generation, found.first, found.labelled_from or 0)):
            raise ValueError(f"expected whole numbers, found {dict(values)!r}")
        return found
