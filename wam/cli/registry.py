"""``wam registry``: the records behind the short links."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from payload import PayloadError, format_time, parse_time
from wam.cli import common, terminal
from wam.cli.choices import RegistryState, WordScheme
from wam.cli.panels import Commands
from wam.cli.registry_files import counted, export, import_
from wam.errors import mask_secrets, show_name

if TYPE_CHECKING:
    from payload.registry import Registry
    from payload.registry.entry import Entry

AUDIT_ROW = "{:>7}  {:20}  {:10}  {:16}  {}"
TOGETHER = 500  # lines that are written at a time
ROW = "{:12}  {:9}  {:20}  {:24}  {:16}  {}"  # widths that most names fit: a registry is too long to measure first
# what is last may be cut off, link and state never are; asset and owner are aligned where there is room
NARROW_ROW = "{{:12}}  {{:9}}  {{:10}}  {{:{asset}}}  {{:{owner}}}  {{}}"
NARROW_FIXED = 12 + 9 + 10 + 5 * 2

registry_app = Commands(no_args_is_help=True, help="The records behind the short links.")


@registry_app.command()
def init(
    registry: common.RegistryOption = None,
    scheme: Annotated[
        WordScheme | None,
        typer.Option("--scheme", help="Words to give out: plain (default of a new one) or labelled; see scheme."),
    ] = None,
) -> None:
    """Create the registry, if it is not there yet, and say where it is.

    Example: wam registry init --registry marks.db
    """
    store = common.open_registry(registry, create=True)
    if scheme is not None:
        _give(store, scheme)
    counts = store.counts()
    states = ", ".join(f"{count} {state}" for state, count in counts.items())
    typer.echo(f"{store.name}: {counted(sum(counts.values()))}" + (f" ({states})" if states else ""))


@registry_app.command()
def scheme(
    words: Annotated[
        WordScheme | None, typer.Argument(metavar="[plain|labelled]", help="Default: say which are given out.")
    ] = None,
    registry: common.RegistryOption = None,
) -> None:
    """Say or choose which words the next pictures are marked with.

    plain: the word alone, which every version reads; 2,097,152 of them, and every registry has the same.
    labelled: the mark also says whose it is and of which generation, so that another registry does not take it for one
    of its own, and a new generation begins when one is used up. Readers need version 0.3.0 and this registry.

    Marks that are out stay what they are, and are read whatever is chosen.

    Example: wam registry scheme labelled
    """
    store = common.open_registry(registry, create=False)
    if words is not None:
        _give(store, words)
    _say_giving(store)


@registry_app.command(name="next-generation")
def next_generation(registry: common.RegistryOption = None) -> None:
    """Begin a new generation of labelled words before this one is used up: short lists are corrected better.

    Example: wam registry next-generation
    """
    store = common.open_registry(registry, create=False)
    try:
        store.open_generation()
    except PayloadError as error:
        common.fail(error, code=1)
    _say_giving(store)


def _give(store: Registry, scheme: WordScheme) -> None:
    try:
        store.give(scheme.value)
    except PayloadError as error:
        common.fail(error, code=1)


def _say_giving(store: Registry) -> None:
    """What the next words are, and how many are left."""
    found = store.statistics()
    generation = f", generation {found.generation}" if found.scheme == "labelled" else ""
    typer.echo(f"{store.name}: {found.scheme} words{generation}, {found.free:,} free")


@registry_app.command(name="list")
def list_(
    asset: Annotated[str | None, typer.Option("--asset", metavar="ID", help="Only those of this asset.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", metavar="NAME", help="Only those of this owner.")] = None,
    user: Annotated[str | None, typer.Option("--user", metavar="ID", help="Only those of this user.")] = None,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="DATE", help="Only those ingested since, 2026-11-22 or RFC 3339."),
    ] = None,
    state: Annotated[RegistryState | None, typer.Option("--state", help="Only those in this state.")] = None,
    registry: common.RegistriesOption = None,
    as_json: common.JsonRowsOption = False,
) -> None:
    """List records, oldest first: all, or those that are as asked.

    Example: wam registry list --user u-77 --since 2026-11-01
    """
    try:
        start = None if since is None else _read_date(since)
    except ValueError as error:
        common.fail(f"--since: {error}")
    stores = _stores(registry)
    columns = terminal.width()
    for store in stores:
        entries = store.entries(
            state=None if state is None else state.value, asset=asset, owner=owner, user=user, since=start
        )
        if as_json:
            _write(json.dumps(_shown(entry, store), ensure_ascii=True) for entry in entries)
            continue
        if len(stores) > 1:
            typer.echo(f"{show_name(store.name)}:")
        _write(_rows(entries, columns))


def _stores(urls: list[str] | None) -> list[Registry]:
    """The registries to look records up in, all of which have to be there."""
    from payload.registry.places import listed

    try:
        return [common.open_registry(url, create=False) for url in listed(urls)]
    except PayloadError as error:
        common.fail(error)


def _write(lines: Iterable[str]) -> None:
    """Lines on standard output, many at a time: a registry may have millions."""
    rest = iter(lines)
    while some := list(islice(rest, TOGETHER)):
        typer.echo("\n".join(some))


def _rows(entries: Iterable[Entry], columns: int | None) -> Iterator[str]:
    """The table of some entries, row by row; what the terminal has no room for is cut."""
    narrow = terminal.is_narrow(columns)
    row = _narrow_row(columns) if columns is not None and narrow else ROW
    heading = row.format("LINK", "STATE", "INGESTED", "ASSET", "OWNER", "USER")
    yield terminal.shortened(heading, columns if narrow else None)
    for entry in entries:
        record, time = entry.record, format_time(entry.record.ingested_at)
        fields = (record.asset, record.owner, record.user or "-")
        line = row.format(entry.link, entry.state, time[:10] if narrow else time, *fields)
        yield terminal.shortened(line, columns) if narrow else line


@registry_app.command()
def stats(registry: common.RegistryOption = None, as_json: common.JsonRowsOption = False) -> None:
    """Count records by state, ids that are free, and different assets, owners and users.

    Example: wam registry stats --registry marks.db
    """
    found = common.open_registry(registry, create=False).statistics().to_dict()
    if as_json:
        common.print_json(found)
        return
    states: dict[str, int] = found.pop("states")
    for name, value in {**states, **found}.items():
        shown = "-" if value is None else f"{value:,}" if isinstance(value, int) else value
        typer.echo(f"{name:12} {shown}")


def _narrow_row(columns: int) -> str:
    """The row of a narrow terminal: of what is left, two fifths for the asset and a third for the owner.

    >>> _narrow_row(80).format("wm:1WYK-ZE5Q", "marked", "2026-11-26", "IMG-0042", "Ana Souza", "-")
    'wm:1WYK-ZE5Q  marked     2026-11-26  IMG-0042         Ana Souza      -'
    """
    left = max(3, columns - NARROW_FIXED)
    return NARROW_ROW.format(asset=left * 2 // 5, owner=left // 3)


def _read_date(text: str) -> datetime:
    """A day, which begins in UTC, or an RFC 3339 time; raises ``ValueError``."""
    try:
        return parse_time(f"{text}T00:00:00Z" if len(text) == len("2026-11-22") else text)
    except ValueError as error:
        raise ValueError(f"expected a day like 2026-11-22 or an RFC 3339 time, found {text!r}; give one") from error


@registry_app.command()
def show(
    link: Annotated[str, typer.Argument(metavar="ID", help="Short link, such as wm:3ZT3-GTKS.")],
    registry: common.RegistriesOption = None,
    as_json: common.JsonRowsOption = False,
) -> None:
    """Show one record: that of the first registry that knows the link, where several are asked.

    Example: wam registry show wm:3ZT3-GTKS
    """
    stores = _stores(registry)
    problem: Exception | None = None
    for store in stores:
        try:
            values, entry = _shown(found := store.show(link), store), found
            break
        except (PayloadError, ValueError) as error:
            problem = problem or error
    else:
        if len(stores) > 1 and isinstance(problem, PayloadError):
            asked = ", ".join(store.name for store in stores)
            common.fail(f"expected an entry for link {link} in one of {asked}, found none; check them", code=1)
        common.fail(problem, code=1)
    if as_json:
        common.print_json(values)
        return
    if entry.sketch is not None:
        values["sketch"] = "kept"  # five hundred characters that tell people nothing
    for key, value in (values | entry.record.to_dict()).items():
        if key != "record":
            typer.echo(f"{key:12} {'-' if value is None else value}")


@registry_app.command()
def withdraw(
    link: Annotated[str, typer.Argument(metavar="ID", help="Short link to withdraw; its id is never used again.")],
    registry: common.RegistryOption = None,
) -> None:
    """Withdraw a record: detection no longer names it.

    Example: wam registry withdraw wm:3ZT3-GTKS
    """
    try:
        entry = common.open_registry(registry, create=False).withdraw(link)
    except (PayloadError, ValueError) as error:
        common.fail(error, code=1)
    typer.echo(f"{entry.link} withdrawn")


@registry_app.command()
def erase(
    user: Annotated[str, typer.Option("--user", metavar="ID", help="Whose data to erase.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask first.")] = False,
    registry: common.RegistryOption = None,
) -> None:
    """Erase what is known of a user's pictures: asset, owner, user, file and hashes. It cannot be undone.

    Their ids stay taken, and no detection names them any more; the audit log stays whole. Exports, manifests and
    reports that were written before are files of yours: erase them as well.

    Example: wam registry erase --user u-77
    """
    store = common.open_registry(registry, create=False)
    try:
        count = sum(1 for _ in store.entries(user=user))
        if not count:
            common.fail(f"--user: expected records of {user} in {store.name}, found none; check the ID", code=1)
        if not (yes or _confirmed(f"erase {counted(count)} of {user} in {store.name} for ever?")):
            common.fail("nothing was erased", code=1)
        count = store.erase(user)
    except PayloadError as error:
        common.fail(error, code=1)
    typer.echo(f"{counted(count)} erased; exports, manifests and reports that name {user} are left to you")


def _confirmed(question: str) -> bool:
    """The answer of a person; where there is none to ask, what to do is said."""
    try:
        return typer.confirm(question, err=True)
    except typer.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        typer.echo(err=True)  # the line of the question ends
        common.fail("expected yes or no, found no more input; give --yes to erase without being asked")


@registry_app.command()
def audit(
    verify: Annotated[
        bool, typer.Option("--verify", help="Check that no line was cut or changed, and no record that it vouches for.")
    ] = False,
    head: Annotated[
        str | None,
        typer.Option(
            "--head", metavar="HASH", help="With --verify: a hash that it gave earlier, which has to be there still."
        ),
    ] = None,
    registry: common.RegistryOption = None,
    as_json: common.JsonRowsOption = False,
) -> None:
    """Print what was done in the registry, when and by whom ($WAM_ACTOR, or user and machine), or check it.

    Exit status 1: with --verify, the log or a record was changed behind its back.

    Example: wam registry audit --verify
    """
    if head is not None and not verify:
        common.fail("--head: expected --verify with it, found none; add it")
    store = common.open_registry(registry, create=False)
    if not verify:
        _write(_audit_rows(store, as_json=as_json))
        return
    try:
        report = store.verify_audit(head=head)
    except PayloadError as error:
        common.fail(error, code=1)
    if as_json:
        common.print_json({"lines": report.lines, "head": report.head, "problem": report.problem})
    elif report.problem is None:
        typer.echo(f"{store.name}: {report.lines} lines, whole; head {report.head}")
    if report.problem is not None:
        common.fail(f"{store.name}: audit log: {report.problem}; compare it with a backup", code=1)


def _audit_rows(store: Registry, *, as_json: bool) -> Iterator[str]:
    """The lines of the audit log, with the link of a line that is about one entry."""
    if not as_json:
        yield AUDIT_ROW.format("LINE", "AT", "EVENT", "WHAT", "BY")
    for line in store.audit():
        link = store.link_of(line.serial) if line.serial is not None and line.count == 1 else None
        if as_json:
            yield json.dumps({**line.to_dict(), "link": link}, ensure_ascii=True)
        else:
            what = link or (counted(line.count) if line.count else "-")
            yield AUDIT_ROW.format(line.number, line.at, line.event, what, show_name(line.actor))


registry_app.command()(export)
registry_app.command(name="import")(import_)


def _shown(entry: Entry, store: Registry) -> dict[str, Any]:
    """An entry for people and programs: earlier versions kept passwords of the URLs that outputs went to."""
    output = entry.output and mask_secrets(entry.output)
    return {"link": entry.link, **entry.to_dict(), "output": output, "registry": store.name}
