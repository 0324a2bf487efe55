"""Inputs to items: which file is marked as what, under which name. Nothing is written here.

What makes a whole run senseless (two inputs for one output, a list without its columns) raises ``PlanError``; what
spoils one file only is kept in its item, so that the others go on.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from payload import Record, parse_time
from wam.errors import WamError, show_name
from wam.pictures.files import default_output, expand_inputs, format_of
from wam.pictures.storage import Location, is_url, join, locate, pictures_below, suffix_of

COLUMNS = ("path", "asset", "owner", "user", "time")  # of a list; the first two are needed


class PlanError(WamError):
    """A run that cannot be started as asked."""


@dataclass(frozen=True)
class Source:
    """One input. ``name``: its path below the folder it was found in, with forward slashes; a manifest's key."""

    location: Location
    name: str


@dataclass(frozen=True)
class Fields:
    """What records are made of; ``time`` RFC 3339, None is now."""

    asset: str | None = None
    owner: str | None = None
    user: str | None = None
    time: str | None = None

    def record(self) -> Record:
        """The record; raises ``ValueError`` naming the field that is missing or wrong."""
        for name in ("asset", "owner"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected one, found none; give --{name} or a list with that column")
        asset, owner = self.asset or "", self.owner or ""
        if self.time:
            return Record(asset, owner, self.user, parse_time(self.time))
        return Record(asset, owner, self.user)


@dataclass(frozen=True)
class Item:
    """One file to mark. ``record`` None where ``problem`` says why; ``timed``: its time was given, not taken."""

    source: Source
    target: Location
    record: Record | None
    timed: bool = False
    problem: str | None = None


def find_sources(inputs: Sequence[str], *, without: Sequence[Location] = ()) -> list[Source]:
    """The inputs with folders, local or behind a URL, replaced by their pictures, sorted.

    ``without``: output folders, whose pictures are no inputs where they lie inside an input folder.
    """
    sources = []
    for text in inputs:
        if is_url(text):
            folder = text.rstrip("/") + "/"
            sources += [Source(url, _below(str(url), folder)) for url in pictures_below(text)]
            continue
        found = expand_inputs([text])
        for outputs in map(_place, without):
            if _is_inside(outputs, _place(Path(text))):
                found = [location for location in found if not _is_inside(_place(Path(location)), outputs)]
        folder = Path(text).as_posix().rstrip("/") + "/"
        sources += [Source(location, _below(Path(location).as_posix(), folder)) for location in found]
    return sources


def _below(name: str, folder: str) -> str:
    """The part of a name below a folder; the last part for what is not below it, such as the folder itself."""
    inside = name.startswith(folder) and len(name) > len(folder)
    if folder == "./" and not name.startswith(("/", "../")):
        return name
    return name.removeprefix(folder) if inside else PurePosixPath(name).name


def _is_inside(place: str, folder: str) -> bool:
    return place.startswith(folder.rstrip(os.sep) + os.sep)


def leave_out_outputs(sources: Sequence[Source], inputs: Sequence[str]) -> tuple[list[Source], list[Source]]:
    """The sources to mark, and those left out: pictures of a folder that are the default output (``NAME.wm.EXT``) of
    another one there. What ``inputs`` names itself stays."""
    named = {str(locate(text)) for text in inputs}
    made = {str(_beside(source.location)) for source in sources if source.location != "-"} - named
    kept = [source for source in sources if str(source.location) not in made]
    return kept, [source for source in sources if str(source.location) in made]


def find_targets(
    sources: Sequence[Source], *, output: Location | None, out_dir: Location | None, in_place: bool
) -> list[Location]:
    """One output per input; raises ``PlanError`` for what would overwrite an input or write two to one name."""
    if sum([output is not None, out_dir is not None, in_place]) > 1:
        raise PlanError("output: expected one of -o, --out-dir, --in-place, found several; choose one")
    if output is not None and len(sources) != 1:
        raise PlanError(f"-o: expected one input, found {len(sources)}; use --out-dir")
    if output is None and any(source.location == "-" for source in sources):
        raise PlanError("-: expected -o FILE for a picture from standard input, found none; add it")
    if output is not None:
        _require_place(output)
        targets: list[Location] = [output]
    elif in_place:
        targets = [source.location for source in sources]
    elif out_dir is not None:
        targets = [join(out_dir, source.name) for source in sources]
    else:
        targets = [_beside(source.location) for source in sources]
    refuse_clashes(targets, "output", "mark the folders one by one, each with its own --out-dir")
    if not in_place:
        refuse_inputs(
            targets, sources, "move earlier outputs (.wm.) away, use --out-dir, or --in-place to replace inputs"
        )
    return targets


def _beside(source: Location) -> Location:
    if isinstance(source, Path):
        return default_output(source)
    folder, _, name = source.rpartition("/")
    return f"{folder}/{default_output(name)}"


def _require_place(output: Location) -> None:
    """Raises ``PlanError`` where a file cannot be, ``ImageError`` for a format that is not written."""
    if suffix_of(output) not in ("", ".wm"):
        format_of(os.fspath(output))
    if is_url(str(output)):
        return
    place = Path(output)
    if place.is_dir():
        raise PlanError(f"{show_name(str(output))}: expected a file name, found a folder; use --out-dir")
    if not place.parent.is_dir():
        raise PlanError(f"{show_name(str(output))}: expected a folder to write to, found none; make it first")


def refuse_clashes(targets: Iterable[Location], option: str, remedy: str) -> None:
    """Raises ``PlanError`` if two outputs are one file, also where a link only makes them so."""
    places = Counter(_place(target) for target in targets)
    for target in targets:
        if places[_place(target)] > 1:
            name = show_name(str(target))
            raise PlanError(f"{option}: expected a different name for each input, found {name} twice; {remedy}")


def refuse_inputs(targets: Iterable[Location | None], sources: Iterable[Source], remedy: str) -> None:
    """Raises ``PlanError`` if an output is one of the inputs, whatever way it is named."""
    inputs = {_place(source.location) for source in sources if source.location != "-"}
    for target in targets:
        if target is not None and _place(target) in inputs:
            name = show_name(str(target))
            raise PlanError(f"{name}: expected an output other than the input, found the input; {remedy}")


def _place(location: Location) -> str:
    """What a location comes to; unlike ``Path.resolve`` this stands loops of links."""
    return location if isinstance(location, str) else os.path.realpath(location)


def plan_records(
    sources: Sequence[Source], targets: Sequence[Location], fields: Callable[[Source], Fields]
) -> list[Item]:
    """Sources, targets and what is known of each file, as items; a wrong or missing field spoils its item only."""
    items = []
    for source, target in zip(sources, targets, strict=True):
        try:
            known = fields(source)
            items.append(Item(source, target, known.record(), timed=bool(known.time)))
        except ValueError as error:
            items.append(Item(source, target, None, problem=str(error)))
    return items


def asset_from_name(common: Fields) -> Callable[[Source], Fields]:
    """Each file's asset is its name without folder and extension."""
    return lambda source: replace(common, asset=PurePosixPath(source.name).stem)


def asset_from_list(path: Path, common: Fields) -> Callable[[Source], Fields]:
    """Each file's fields are its row of a CSV; empty ones, and columns that are not there, are the common ones.

    A row's ``path`` is relative to the input folder, to the working folder or to the list's, or it is absolute.
    """
    rows = _read_rows(path)

    def find(source: Source) -> Fields:
        row = rows.get(source.name)
        places = (_place(source.location), str(source.location))
        row = row or next((found for place in places if (found := rows.get(place))), None)
        if row is None:
            raise ValueError(f"expected a row with path {show_name(source.name)} in {path}, found none; add one")
        given = {name: row[name] for name in COLUMNS[1:] if row.get(name)}
        return replace(common, **given)

    return find


def _read_rows(path: Path) -> dict[str, dict[str, str]]:
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
    rows: dict[str, dict[str, str]] = {}
    for number, row in enumerate(table, start=2):
        if None in row or None in row.values() or not row["path"]:
            raise PlanError(f"{path}: row {number}: expected {len(columns)} cells with a path, found others; mend it")
        for name in _names(row["path"], path.parent):
            if rows.setdefault(name, row) is not row:
                raise PlanError(f"{path}: row {number}: expected each path once, found {row['path']} again; remove one")
    return rows


def _names(text: str, folder: Path) -> set[str]:
    """The names a row's path stands for: as it is, and as an absolute place."""
    if is_url(text):
        return {text}
    return {PurePosixPath(text).as_posix(), os.path.realpath(text), os.path.realpath(folder / text)}
