"""Inputs to items: which file is marked as what, under which name. Nothing is written here.

What makes a whole run senseless (two inputs for one output, a list without its columns) raises ``PlanError``; what
spoils one file only is kept in its item, so that the others go on.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob, has_magic
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from payload import Record, parse_time
from wam.errors import WamError, show_name
from wam.pictures.files import default_output, files_in, format_of
from wam.pictures.kinds import NAMED, READ_SUFFIXES
from wam.pictures.storage import Location, is_inside, is_url, join, locate, pictures_below, place_of, suffix_of

FEW = 3  # names that one line lists


class PlanError(WamError):
    """A run that cannot be started as asked."""


class MissingRowError(ValueError):
    """A list says nothing of a file. ``name`` of the file, ``remedy`` for all such files, ``alike``: the path of a row
    that differs in its extension only."""

    def __init__(self, path: Path, name: str, remedy: str, alike: str | None = None) -> None:
        super().__init__(f"expected a row with path {show_name(name)} in {path}, found none; {remedy}")
        self.path, self.name, self.remedy, self.alike = path, name, remedy, alike


@dataclass(frozen=True)
class Source:
    """One input. ``name``: its path below the folder it was found in, with forward slashes; a manifest's key.
    ``problem``: why nothing could be listed there."""

    location: Location
    name: str
    problem: WamError | None = None


@dataclass
class Unread:
    """Pictures of kinds that are not read: how many, and the ``first`` few with their kinds."""

    count: int = 0
    first: list[tuple[str, str]] = field(default_factory=list)

    def add(self, path: Path) -> None:
        """One more."""
        self.count += 1
        if len(self.first) < FEW:
            self.first.append((str(path), NAMED[path.suffix.lower()]))


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
    """The inputs with folders, local or behind a URL, replaced by their pictures, sorted, and patterns such as
    ``*.jpg``, which some shells leave alone, by what they match. Raises ``ImageError`` for what cannot be listed.

    ``without``: output folders, whose pictures are no inputs where they lie inside an input folder.
    """
    sources = list(list_sources(inputs, without=without))
    for source in sources:
        if source.problem is not None:
            raise source.problem
    return sources


def list_sources(
    inputs: Sequence[str], *, without: Sequence[Location] = (), unread: Unread | None = None
) -> Iterator[Source]:
    """The same one by one: a folder is listed when those before it have been asked for. What cannot be listed is a
    source with the ``problem``; pictures in local folders that are of kinds which are not read go to ``unread``."""
    for place in (place for text in inputs for place in _matches(text)):
        if is_url(place):
            yield from _sources_behind(str(place))
        elif isinstance(place, Path) and place.is_dir():
            yield from _sources_in(place, without, Unread() if unread is None else unread)
        else:
            yield Source(place, PurePosixPath(Path(place).as_posix()).name)


def count_files(inputs: Sequence[str]) -> int | None:
    """How many sources the inputs are, None where that takes listing a folder or asking a server."""
    places = [place for text in inputs for place in _matches(text)]
    if any(is_url(place) or (isinstance(place, Path) and place.is_dir()) for place in places):
        return None
    return len(places)


def _sources_behind(url: str) -> Iterator[Source]:
    try:
        for found in pictures_below(url):
            yield Source(found, _below_url(str(found), url))
    except WamError as error:
        yield Source(url, _below_url(url, url), problem=error)


def _sources_in(folder: Path, without: Sequence[Location], unread: Unread) -> Iterator[Source]:
    """Pictures of a local folder; itself where there is none, for reading it says what is wrong."""
    inside = [outputs for outputs in without if is_inside(outputs, folder)]
    root, any_found = folder.as_posix().rstrip("/") + "/", False
    for path in files_in(folder, READ_SUFFIXES | NAMED.keys()):
        kept = not any(is_inside(path, outputs) for outputs in inside)
        if path.suffix.lower() in NAMED and not path.is_dir():
            if kept:
                unread.add(path)
            continue
        any_found = True
        if kept:
            yield Source(path, _below(path.as_posix(), root))
    if not any_found:
        yield Source(folder, _below(folder.as_posix(), root))


def find_unread(inputs: Sequence[str], *, without: Sequence[Location] = ()) -> Unread:
    """Pictures in local folders that are of kinds which are not read."""
    unread = Unread()
    folders = [text for text in inputs if not is_url(text)]
    for _ in list_sources(folders, without=without, unread=unread):
        pass
    return unread


def _matches(text: str) -> list[Location]:
    """The places that an input names: itself where something is there, or else what it matches as a pattern."""
    place = locate(text)
    if not isinstance(place, Path) or os.path.lexists(place) or not has_magic(os.fspath(place)):
        return [place]
    return [Path(found) for found in sorted(glob(os.fspath(place), recursive=True))] or [place]


def _below_url(url: str, folder: str) -> str:
    """The same of a URL; what a web address says after its path is no part of the name."""
    if urlsplit(url).scheme in ("http", "https"):
        url, folder = (urlsplit(one)._replace(query="", fragment="").geturl() for one in (url, folder))
    return _below(url, folder.rstrip("/") + "/")


def _below(name: str, folder: str) -> str:
    """The part of a name below a folder; the last part for what is not below it, such as the folder itself."""
    inside = name.startswith(folder) and len(name) > len(folder)
    if folder == "./" and not name.startswith(("/", "../")):
        return name
    return name.removeprefix(folder) if inside else PurePosixPath(name).name


def leave_out_outputs(sources: Sequence[Source], inputs: Sequence[str]) -> tuple[list[Source], list[Source]]:
    """The sources to mark, and those left out: pictures of a folder that are the default output (``NAME.wm.EXT``) of
    another one there. What ``inputs`` names itself stays."""
    named = {str(locate(text)) for text in inputs if not has_magic(text) or os.path.lexists(text)}
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
    if output == "-":
        return
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
    named = [(target, place_of(target)) for target in targets]
    places = Counter(place for _, place in named)
    for target, place in named:
        if places[place] > 1:
            name = show_name(str(target))
            raise PlanError(f"{option}: expected a different name for each input, found {name} twice; {remedy}")


def refuse_inputs(targets: Iterable[Location | None], sources: Iterable[Source], remedy: str) -> None:
    """Raises ``PlanError`` if an output is one of the inputs, whatever way it is named."""
    inputs = {place_of(source.location) for source in sources if source.location != "-"}
    for target in targets:
        if target is not None and target != "-" and place_of(target) in inputs:
            name = show_name(str(target))
            raise PlanError(f"{name}: expected an output other than the input, found the input; {remedy}")


def output_folders(inputs: Iterable[str], *, out_dir: Location | None, in_place: bool) -> list[Location]:
    """The folders that a run was told to write to; none where each output goes beside its input. In place those are the
    inputs' own, for a link that was named itself the one that it leads to."""
    if out_dir is not None:
        return [out_dir]
    if not in_place:
        return []
    places = [place for text in inputs for place in _matches(text)]
    files = (isinstance(place, Path) and not place.is_dir() for place in places)
    return [
        Path(os.path.realpath(place)).parent if is_file else place for place, is_file in zip(places, files, strict=True)
    ]


def refuse_links_out(targets: Iterable[Location], folders: Sequence[Location]) -> None:
    """Raises ``PlanError`` for an output that a link takes out of the folders to write to; none: its own folder."""
    for target in targets:
        if not isinstance(target, Path):
            continue
        allowed = folders or [target.parent]
        if not any(is_inside(target, folder) for folder in allowed):
            name, found = show_name(str(target)), show_name(os.path.realpath(target))
            raise PlanError(
                f"{name}: expected a place inside {show_name(str(allowed[0]))}, found a link out of it, to {found}; "
                "remove the link, or add --follow-links"
            )


def _show_missing(error: MissingRowError) -> str:
    name = show_name(error.name)
    return name if error.alike is None else f"{name} (the list has {show_name(error.alike)})"


def plan_records(
    sources: Sequence[Source], targets: Sequence[Location], fields: Callable[[Source], Fields]
) -> list[Item]:
    """Sources, targets and what is known of each file, as items; a wrong or missing field spoils its item only.

    Raises ``PlanError``, once for all of them, where a list says nothing of some files.
    """
    items = []
    missing: list[MissingRowError] = []
    for source, target in zip(sources, targets, strict=True):
        try:
            known = fields(source)
            items.append(Item(source, target, known.record(), timed=bool(known.time)))
        except MissingRowError as error:
            missing.append(error)
        except ValueError as error:
            items.append(Item(source, target, None, problem=str(error)))
    if missing:
        names = ", ".join(_show_missing(error) for error in missing[:FEW])
        more = f" and {len(missing) - FEW} more" if len(missing) > FEW else ""
        raise PlanError(
            f"{missing[0].path}: expected a row for each of {len(sources)} files, found none for {len(missing)}: "
            f"{names}{more}; {missing[0].remedy}; nothing was marked"
        )
    return items
