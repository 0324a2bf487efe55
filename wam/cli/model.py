"""``wam model``: which checkpoint is used, and what it is."""

from __future__ import annotations

from typing import Any

import typer

from wam.cli import common
from wam.errors import WamError

model_app = typer.Typer(no_args_is_help=True, help="Which checkpoint is used, and what it is.")


@model_app.command()
def info(model: common.ModelOption = common.DEFAULT_MODEL, as_json: common.JsonOption = False) -> None:
    """Show a checkpoint's hash, size, licence, parameters and figures."""
    from wam.library import KNOWN, open_checkpoint

    try:
        checkpoint, name = open_checkpoint(model)
    except WamError as error:
        common.fail(error)
    values: dict[str, Any] = {
        "name": f"{name}@{checkpoint.sha256[:8]}",
        "sha256": checkpoint.sha256,
        "bytes": checkpoint.path.stat().st_size,
        "licence": KNOWN[name].licence if name in KNOWN else checkpoint.metadata.get("licence"),
        "embedder_parameters": sum(p.numel() for p in checkpoint.embedder.parameters()),
        "extractor_parameters": sum(p.numel() for p in checkpoint.extractor.parameters()),
        "bits": 32,
        **{key: checkpoint.metadata.get(key) for key in ("step", "calibration", "figures")},
    }
    if as_json:
        common.print_json(values)
        return
    for key, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        typer.echo(f"{key:20} {'-' if value is None else value}")
