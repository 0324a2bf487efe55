"""Where each file's record comes from: its name, or its row of a list."""

from __future__ import annotations

import csv
import io
import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path, PurePosixPath
from typing import TextIO

from wam.jobs.plan import Fields, MissingRowError, PlanError, Source
from wam.pictures.storage import is_url, locate

COLUMNS = ("path", "asset", "owner", "user", "time")  # of a list; the first two are needed

Row = dict[str, str]


def asset_from_name(common: Fields) -> Callable[[Source], Fields]:
    """Each file's asset is its name without folder and extension."""
    return lambda source: replace(common, asset=PurePosixPath(source.name).stem)


def asset_from_list(path: Path, common: Fields, *, backslashes: bool = False) -> Callable[[Source], Fields]:
    """Each file's fields are its row of a CSV; empty ones, and columns that are not there, are the common ones.

    A row's ``path`` is relative to the input folder, to the working folder or to the list's, or it is absolute; with
    ``backslashes`` those stand between its folders. Accents count as the same however they are encoded (NFC or NFD),
    unless two rows differ in that only.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            rows = _read_rows(stream, str(path), lambda text: _names(text, path.parent), backslashes=backslashes)
    except OSError as error:
        raise PlanError(
            f"{path}: expected a CSV file in UTF-8, found: {error.strerror or error}; check --asset-from"
        ) from error
    find_row = _row_finder(rows)
    windows = not backslashes and any("\\" in name for name in rows)
    remedy = "add them, or name only files that it lists" + (", or add --backslashes" if windows else "")

    @cache
    def stems() -> dict[PurePosixPath, str]:
        """Paths by what they are without an extension: made when a file has no row."""
        return {PurePosixPath(name).with_suffix(""): name for name in rows if PurePosixPath(name).name}

    def find(source: Source) -> Fields:
        location = source.location
        real = os.path.realpath(location) if isinstance(location, Path) else str(location)
        row = find_row((source.name, real, str(location)))
        if row is None:
            alike = stems().get(PurePosixPath(source.name).with_suffix(""))
            raise MissingRowError(path, source.name, remedy, alike)
        return _filled(common, row)

    return find


def fields_of_names(content: bytes, name: str, common: Fields) -> Callable[[str], Fields]:
    """The same of a list that was sent, called ``name``, for files of which no more than their names is known. No path
    of this machine is looked at. Raises ``PlanError``; what is returned raises ``MissingRowError``."""
    stream = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig", newline="")
    rows = _read_rows(stream, name, lambda text: {PurePosixPath(text).as_posix()}, backslashes=False)
    find_row = _row_finder(rows)

    def find(file: str) -> Fields:
        row = find_row((PurePosixPath(file).as_posix(),))
        if row is None:
            raise MissingRowError(Path(name), file, "add it, or leave the file out")
        return _filled(common, row)

    return find


def _filled(common: Fields, row: Row) -> Fields:
    return replace(common, **{name: row[name] for name in COLUMNS[1:] if row.get(name)})


def _row_finder(rows: dict[str, Row]) -> Callable[[Sequence[str]], Row | None]:
    """Finds a row by the first of several names that it goes under."""
    alike: dict[str, Row | None] = {}
    for name, one in rows.items():
        composed = unicodedata.normalize("NFC", name)
        alike[composed] = one if alike.get(composed, one) is one else None

    def find(names: Sequence[str]) -> Row | None:
        row = next((found for name in names if (found := rows.get(name))), None)
        composed = (unicodedata.normalize("NFC", name) for name in names)
        return row or next((found for name in composed if (found := alike.get(name))), None)

    return find


def _read_rows(stream: TextIO, shown: str, names_of: Callable[[str], set[str]], *, backslashes: bool) -> dict[str, Row]:
    """Rows of a list, which errors call ``shown``, by the names their files may go under."""
    try:
        reader = csv.DictReader(stream, strict=True)
        columns = reader.fieldnames or []
        missing = [name for name in COLUMNS[:2] if name not in columns]
        unknown = [name for name in columns if name not in COLUMNS]
        if missing or unknown or len(set(columns)) < len(columns):
            found = ", ".join(columns) or "none"
            raise PlanError(f"{shown}: expected the columns {', '.join(COLUMNS)}, found {found}; mend the first line")
        table = list(reader)
    except (UnicodeDecodeError, csv.Error) as error:
        raise PlanError(f"{shown}: expected a CSV file in UTF-8, found: {error}; mend it") from error
    rows: dict[str, Row] = {}
    for number, row in enumerate(table, start=2):
        if None in row or None in row.values() or not row["path"]:
            raise PlanError(f"{shown}: row {number}: expected {len(columns)} cells with a path, found others; mend it")
        written = row["path"].replace("\\", "/") if backslashes else row["path"]
        for name in names_of(written):
            if rows.setdefault(name, row) is not row:
                twice = row["path"]
                raise PlanError(f"{shown}: row {number}: expected each path once, found {twice} again; remove one")
    return rows


def _names(text: str, folder: Path) -> set[str]:
    """The names a row's path stands for: as it is, and as an absolute place."""
    if is_url(text):
        return {str(locate(text))}
    return {PurePosixPath(text).as_posix(), os.path.realpath(text), os.path.realpath(folder / text)}
