"""One line for each photo and row, kept in results.jsonl: what an interrupted run goes on from."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from wam.append_log import append, read
from wam.errors import WamError
from wam.networks.strength import Amount
from wam.pictures.atomic_write import save_atomically

QUALITY = "quality"  # the row that holds the marked photo's quality instead of a judgement


class Key(NamedTuple):
    """What makes a result: another value of any of these is another result."""

    contender: str
    strength: Amount
    images: str
    seed: int
    photo: str
    row: str


@dataclass(frozen=True)
class Result:
    """``values``: a judgement or a quality as a dictionary, empty after an error; ``seconds`` to read; ``number`` of
    the photo in its set."""

    key: Key
    group: str
    number: int
    values: dict[str, Any] = field(default_factory=dict)
    seconds: float | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """One flat object."""
        rest = asdict(self)
        del rest["key"]
        return {**self.key._asdict(), **rest}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Result:
        """The way back; raises ``KeyError`` or ``TypeError`` for anything else."""
        key = Key(**{name: values.pop(name) for name in Key._fields})
        return cls(key, **values)


class ResultsFile:
    """results.jsonl of an output folder; without a folder, results live in memory only."""

    def __init__(self, folder: Path | None, *, keep: Callable[[Result], bool] = lambda result: True) -> None:
        """``keep``: of the results that are there already, those that need not be measured again."""
        self.path = None if folder is None else folder / "results.jsonl"
        self.known: dict[Key, Result] = {}
        self.kept = 0
        if self.path is not None and self.path.exists():
            self.known = {key: result for key, result in _read(self.path).items() if keep(result)}
            self.kept = len(self.known)
            self._rewrite()  # without errors, which are tried again

    def add(self, results: Iterable[Result]) -> None:
        """Keep results, on disk at once."""
        fresh = list(results)
        self.known.update((result.key, result) for result in fresh)
        if self.path is not None and fresh:
            append(self.path, "".join(map(_line, fresh)))

    def _rewrite(self) -> None:
        text = "".join(_line(result) for result in self.known.values())
        assert self.path is not None
        save_atomically(self.path, lambda path: path.write_text(text, encoding="utf-8"))


def _line(result: Result) -> str:
    return json.dumps(result.to_dict(), allow_nan=False) + "\n"


def _read(path: Path) -> dict[Key, Result]:
    """Results that succeeded; raises ``WamError`` where a line is none."""
    found: dict[Key, Result] = {}
    for number, line in enumerate(read(path).splitlines(), start=1):
        try:
            result = Result.from_dict(json.loads(line))
        except (ValueError, KeyError, TypeError) as error:
            found_line = f"{path}: expected results of wam bench, found others in line {number}"
            raise WamError(f"{found_line}; choose another --out") from error
        if result.error is None:
            found[result.key] = result
    return found
