"""Where each file's record comes from: its name, or its row of a list."""

from __future__ import annotations

import csv
import os
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path, PurePosixPath

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
    rows = _read_rows(path, backslashes=backslashes)
    alike: dict[str, Row | None] = {}
    for name, one in rows.items():
        composed = unicodedata.normalize("NFC", name)
        alike[composed] = one if alike.get(composed, one) is one else None
    windows = not backslashes and any("\\" in name for name in rows)
    remedy = "add them, or name only files that it lists" + (", or add --backslashes" if windows else "")

    def find(source: Source) -> Fields:
        location = source.location
        real = os.path.realpath(location) if isinstance(location, Path) else str(location)
        names = (source.name, real, str(location))
        row = next((found for name in names if (found := rows.get(name))), None)
        composed = (unicodedata.normalize("NFC", name) for name in names)
        row = row or next((found for name in composed if (found := alike.get(name))), None)
        if row is None:
            raise MissingRowError(path, source.name, remedy)
        given = {name: row[name] for name in COLUMNS[1:] if row.get(name)}
        return replace(common, **given)

    return find


def _read_rows(path: Path, *, backslashes: bool) -> dict[str, Row]:
    """Rows of a list by the names their files may go under."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, strict=True)
            columns = reader.fieldnames or []
            missing = [name for name in COLUMNS[:2] if name not in columns]
            unknown = [name for name in columns if name not in COLUMNS]
            if missing or unknown:
                found = ", ".join(columns) or "none"
                raise PlanError(
                    f"{path}: expected the columns {', '.join(COLUMNS)}, found {found}; mend the first line"
                )
            table = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        found = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise PlanError(f"{path}: expected a CSV file in UTF-8, found: {found}; check --asset-from") from error
    rows: dict[str, Row] = {}
    for number, row in enumerate(table, start=2):
        if None in row or None in row.values() or not row["path"]:
            raise PlanError(f"{path}: row {number}: expected {len(columns)} cells with a path, found others; mend it")
        written = row["path"].replace("\\", "/") if backslashes else row["path"]
        for name in _names(written, path.parent):
            if rows.setdefault(name, row) is not row:
                raise PlanError(f"{path}: row {number}: expected each path once, found {row['path']} again; remove one")
    return rows


def _names(text: str, folder: Path) -> set[str]:
    """The names a row's path stands for: as it is, and as an absolute place."""
    if is_url(text):
        return {str(locate(text))}
    return {PurePosixPath(text).as_posix(), os.path.realpath(text), os.path.realpath(folder / text)}
