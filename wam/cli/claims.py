"""``wam claims``: what was tested of a checkpoint, and what was not."""

from __future__ import annotations

import math
from typing import Any

import typer

from wam.cli import common
from wam.errors import WamError
from wam.models.catalogue import DEFAULT, KNOWN
from wam.packages import require_for


def claims(
    model: common.ModelOption = DEFAULT,
    as_json: common.JsonRowsOption = False,
    debug: common.DebugOption = False,
) -> None:
    """Say how often a checkpoint was wrong when it was tested, on what, and what that does not cover.

    Every figure is of a table of the source tree, which is named; of a checkpoint that was not tested it says so.

    Example: wam claims --json
    """
    require_for("wam claims")
    from wam.models.zoo import open_checkpoint
    from wam.pipeline.chance import TESTED, is_tested

    try:
        checkpoint, short = open_checkpoint(model)
    except WamError as error:
        common.fail(error)
    name = f"{short}@{checkpoint.sha256[:8]}"
    search = (checkpoint.calibration or {}).get("search")
    # what other files say of themselves is theirs to say
    shipped = checkpoint.sha256 in {known.sha256 for known in KNOWN.values()}
    tested = shipped and is_tested(name, checkpoint.same_as, search)
    values: dict[str, Any] = {
        "checkpoint": name,
        "tested": tested,
        "unmarked_pictures_reported": _share(TESTED.alarms, TESTED.pictures, TESTED.bound) if tested else None,
        "wrong_records_named": _share(TESTED.misnamed, TESTED.readings, TESTED.misnamed_bound) if tested else None,
        "source": TESTED.source if tested else None,
        "limits": TESTED.limits if tested else None,
        "training_figures": checkpoint.metadata.get("figures"),
    }
    if as_json:
        common.print_json(values)
        return
    typer.echo(f"checkpoint: {name}")
    if tested:
        _say_tested()
    else:
        typer.echo(
            f"not tested: the figures of the source tree are of {TESTED.model}, search {TESTED.search}; "
            "run scripts/null_run.py with this checkpoint"
        )
    if values["training_figures"]:
        figures = ", ".join(f"{key} {value}" for key, value in values["training_figures"].items())
        typer.echo(f"figures of its training, no tests of its use: {figures}")
    typer.echo("what they mean: docs/what-a-match-means.md")


def _say_tested() -> None:
    from payload.layout import ID_COUNT
    from wam.pipeline.chance import TESTED

    reported = f"{TESTED.alarms} of {TESTED.pictures:,} ({TESTED.views:,} views of them)"
    typer.echo(f"unmarked pictures with a mark reported: {reported}, below {_up(TESTED.bound)} with 95% confidence")
    typer.echo(f"  of a million such pictures: {math.ceil(1e6 * TESTED.bound):,} at most, by the same bound")
    named = f"{TESTED.misnamed} of {TESTED.readings:,} readings, marks of others among them"
    typer.echo(
        f"wrong records named: {named}, below {_up(TESTED.misnamed_bound)} with 95% confidence, were they independent"
    )
    typer.echo(f"  and, without a key, N in {ID_COUNT:,} marks of another registry have one of your N words by chance")
    typer.echo(f"tested: {TESTED.source}; {TESTED.limits}")


def _up(share: float) -> str:
    """In percent, rounded up."""
    return f"{math.ceil(share * 1e4) / 1e4:.2%}"


def _share(count: int, total: int, bound: float) -> dict[str, Any]:
    """A share with the upper end of its one-sided exact 95% interval."""
    return {"count": count, "of": total, "below": round(bound, 6)}
