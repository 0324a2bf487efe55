"""``wam embed --mode record``: the whole record goes into each picture, and no registry is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import typer

from wam.cli import common

if TYPE_CHECKING:
    from wam.jobs.plan import Item
    from wam.jobs.records import RecordJob, RecordResult
    from wam.marker import Watermarker


def embed_records(
    load: Callable[[], Watermarker],
    items: list[Item],
    refused: dict[str, object],
    encrypt: bool,
    strength: float | None,
    as_json: bool,
    debug: bool,
) -> None:
    """Marks each file and prints what became of it; exit status 1 when one of them failed.

    ``refused``: options that record mode has no use for, or cannot do, with what was given for them.
    """
    from wam.jobs.records import RecordJob

    for option, given in refused.items():
        if given:
            common.fail(f"{option}: expected it without --mode record, found both; leave it out or use --mode link")
    marker = common.loaded(load)
    if encrypt and marker.keys[0] is None:
        common.fail("--encrypt: expected a key, found none; give --key-file or set WAM_KEY")
    job = RecordJob(marker, marker.keys[0], encrypt, strength)
    complete = True
    with common.progress("embedding", len(items)) as advance:
        for item in items:
            complete = _one(job, item, as_json=as_json, debug=debug) and complete
            advance()
    if not complete:
        raise typer.Exit(1)


def _one(job: RecordJob, item: Item, *, as_json: bool, debug: bool) -> bool:
    from wam.jobs.records import embed_record_file, failed_record

    try:
        if item.record is None:
            raise ValueError(item.problem)
        result = embed_record_file(job, item.source.location, item.target, item.record)
    except common.EXPECTED_ERRORS as error:
        if debug:
            raise
        message = common.about(item.source.location, error)
        common.report(message)
        if as_json:
            common.print_json(failed_record(item, job.marker.name, error, message))
        return False
    common.print_json(result.to_dict()) if as_json else typer.echo(_line(result))
    return True


def _line(result: RecordResult) -> str:
    marks = f"record in {len(result.plan.words)} marks, {result.read} read back, {result.needed} needed"
    return common.marked_line(result.image, result.output, marks, result.written)
