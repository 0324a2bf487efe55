"""One picture for many: a list of who gets a copy, and the items that are marked for it.

A list is a CSV with the column ``recipient``, who becomes the user of the record, and as wanted ``name``, which the
copy's file is called after in place of the recipient, ``asset`` and ``owner`` in place of the common ones, and
``output``, the whole name of the file below the output folder. What is wrong with it is said of all rows at once, and
nothing is marked then.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath, PureWindowsPath

from payload import Record
from wam.errors import WamError, show_name
from wam.jobs.plan import Fields, Item, PlanError, Source
from wam.pictures.files import format_of
from wam.pictures.storage import Location, join

COLUMNS = ("recipient", "name", "asset", "owner", "output")  # of a list; the first is needed
DELIMITERS = (",", ";", "\t")  # of which the first line has the most of one
UNSAFE = re.compile(r"[^\w.@+ -]")  # in a file's name on one system or another

Row = dict[str, str]


class ListError(PlanError):
    """A list that nothing is marked by; ``problems``: a line for each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(problems[0])
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Copies:
    """The copies of one picture, as ``items`` in the order of the list; ``empty`` lines that it has besides."""

    items: list[Item]
    empty: int


def plan_copies(path: Path, source: Source, folder: Location, common: Fields) -> Copies:
    """A copy of the source below the folder for each recipient in a list; raises ``ListError``.

    ``common``: the fields of the records where the list says nothing; the user is always the recipient.
    """
    rows, empty = _read(path)
    plan = _Plan(path, source, folder, common)
    for number, row in rows:
        plan.add(number, row)
    if plan.problems or not plan.items:
        raise ListError(plan.problems or [f"{_shown(path)}: expected a row for each recipient, found none; add them"])
    return Copies(plan.items, empty)


def copy_name(source: str, who: str) -> str:
    """What a copy is called whose list does not say: after the picture and whom it is for.

    >>> copy_name("press/photo.jpg", "Ann Lee / agency"), copy_name("photo.jpg", "ann@example.org")
    ('photo.Ann Lee _ agency.jpg', 'photo.ann@example.org.jpg')
    """
    name = PurePosixPath(source)
    return f"{name.stem}.{UNSAFE.sub('_', unicodedata.normalize('NFC', who)).strip(' .')}{name.suffix}"


@dataclass
class _Plan:
    """The items of the rows so far, and what is wrong with them."""

    path: Path
    source: Source
    folder: Location
    common: Fields
    items: list[Item] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    recipients: dict[str, int] = field(default_factory=dict)  # and the lines that they are in
    names: dict[str, int] = field(default_factory=dict)

    def add(self, number: int, row: Row) -> None:
        """One more row, of the line with that number."""
        try:
            record = self._record(number, row)
            name = self._name(number, row)
        except (ValueError, WamError) as error:
            self.problems.append(f"{_shown(self.path)}: line {number}: {error}")
            return
        source = replace(self.source, name=name)  # which is the copy's line in the manifest
        self.items.append(Item(source, join(self.folder, name), record, timed=bool(self.common.time)))

    def _record(self, number: int, row: Row) -> Record:
        recipient = row["recipient"]
        if not recipient:
            raise ValueError("expected a recipient, found none; fill it in or remove the line")
        first = self.recipients.setdefault(recipient, number)
        if first != number:
            raise ValueError(f"expected each recipient once, found {show_name(recipient)} in line {first} too")
        given = {name: row[name] for name in ("asset", "owner") if row.get(name)}
        return replace(self.common, **given, user=recipient).record()

    def _name(self, number: int, row: Row) -> str:
        """The file's name below the folder, with forward slashes."""
        given = row.get("output") or ""
        name = given or copy_name(self.source.name, row.get("name") or row["recipient"])
        shown, parts = show_name(name), PurePosixPath(name).parts
        if "\\" in name or any(unicodedata.category(character) == "Cc" for character in name):
            raise ValueError(f"output: expected a path with forward slashes, found {shown}; change it")
        if PurePosixPath(name).is_absolute() or PureWindowsPath(name).drive or ".." in parts or not parts:
            raise ValueError(f"output: expected a name below the output folder, found {shown}; change it")
        if PurePosixPath(name).suffix or given:
            format_of(name)
        alike = unicodedata.normalize("NFC", PurePosixPath(name).as_posix()).casefold()  # one file on some systems
        first = self.names.setdefault(alike, number)
        if first != number:
            raise ValueError(
                f"output: expected a name of its own, found {shown}, that of line {first}; add a column name or output"
            )
        return PurePosixPath(name).as_posix()


def _read(path: Path) -> tuple[list[tuple[int, Row]], int]:
    """The rows of a list with the numbers of their lines, cells without blanks around them, and how many lines are
    empty."""
    try:
        text = path.read_text(encoding="utf-8-sig")
        lines = list(_lines(text))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found, mend = (error.strerror if isinstance(error, OSError) else None) or str(error), "check --recipients"
        if isinstance(error, UnicodeDecodeError):
            line = error.object.count(b"\n", 0, error.start) + 1
            found = f"the byte {error.object[error.start]:#04x} in line {line}"
            mend = 'save it as "CSV UTF-8"'
        raise ListError([f"{_shown(path)}: expected a CSV file in UTF-8, found: {found}; {mend}"]) from error
    columns = lines[0][1] if lines else []
    if "recipient" not in columns or set(columns) - set(COLUMNS) or len(set(columns)) < len(columns):
        found = ", ".join(map(show_name, columns)) or "none"
        raise ListError(
            [
                f"{_shown(path)}: expected the column recipient and, as wanted, {', '.join(COLUMNS[1:])}, found "
                f"{found}; mend the first line"
            ]
        )
    rows: list[tuple[int, Row]] = []
    problems = []
    for number, cells in lines[1:]:
        if len(cells) == len(columns):
            rows.append((number, dict(zip(columns, cells, strict=True))))
        elif any(cells):
            problems.append(
                f"{_shown(path)}: line {number}: expected {len(columns)} cells, found {len(cells)}; mend it"
            )
    if problems:
        raise ListError(problems)
    kept = [(number, row) for number, row in rows if any(row.values())]
    return kept, len(lines) - 1 - len(kept)


def _lines(text: str) -> Iterator[tuple[int, list[str]]]:
    """The cells of each line, and the number of the line, or the last of them where a cell has several."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text.partition("\n")[0]), strict=True)
    for cells in reader:
        yield reader.line_num, [cell.strip() for cell in cells]


def _delimiter(first: str) -> str:
    """What stands between the cells of the first line."""
    return max(DELIMITERS, key=first.count)


def _shown(path: Path) -> str:
    return show_name(str(path))
