"""``wam model``: which models there are, what a checkpoint is, and conversion of Meta's weights."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from wam.cli import common
from wam.cli.panels import Commands
from wam.errors import WamError
from wam.models.catalogue import DEFAULT, KNOWN, META_LICENCES, shipped

model_app = Commands(no_args_is_help=True, help="Which models there are, and what a checkpoint is.")


@model_app.command("list")
def list_models(as_json: common.JsonRowsOption = False) -> None:
    """List the models that --model knows by name, and those it takes as a file.

    Example: wam model list --json
    """
    rows: list[dict[str, Any]] = [
        {
            "name": name,
            "licence": known.licence,
            "shipped": True,
            "default": name == DEFAULT,
            "file": known.file,
            "signal": known.signal,
            "size": known.size,
        }
        for name, known in KNOWN.items()
        if shipped(known.file).exists()
    ]
    rows += [
        {
            "name": name,
            "licence": licence,
            "shipped": False,
            "default": False,
            "file": f"{name}.pth",
            "signal": None,
            "size": None,
        }
        for name, licence in META_LICENCES.items()
    ]
    for row in rows:
        if as_json:
            common.print_json(row)
            continue
        signal = f"{row['signal']}, {row['size']}, shipped"
        place = signal if row["shipped"] else f"Meta's WAM, not shipped: --model PATH/{row['file']}"
        typer.echo(f"{row['name']:14} {row['licence']:10} {place}{', the default' if row['default'] else ''}")


@model_app.command()
def info(
    path: Annotated[str | None, typer.Argument(metavar="NAME|PATH", help="The same as --model.")] = None,
    model: common.ModelOption = DEFAULT,
    as_json: common.JsonRowsOption = False,
) -> None:
    """Show a checkpoint's architecture, hash, size, licence, parameters and figures.

    Example: wam model info lattice32
    """
    from wam.models.zoo import open_checkpoint
    from wam.signal.specification import BITS

    try:
        checkpoint, name = open_checkpoint(path or model)
    except WamError as error:
        common.fail(error)
    values: dict[str, Any] = {
        "name": f"{name}@{checkpoint.sha256[:8]}",
        "architecture": checkpoint.architecture,
        "sha256": checkpoint.sha256,
        "bytes": checkpoint.path.stat().st_size,
        "licence": checkpoint.licence,
        **{f"{network}_parameters": count for network, count in checkpoint.parameters.items()},
        "bits": BITS,
        "signal": checkpoint.signal and checkpoint.signal.name,
        "same_as": list(checkpoint.same_as),
        "calibration": checkpoint.calibration,
        **{key: checkpoint.metadata.get(key) for key in ("step", "converted_from", "figures")},
    }
    if as_json:
        common.print_json(values)
        return
    for key, value in values.items():
        if isinstance(value, dict):
            value = ", ".join(f"{k} {v}" for k, v in value.items())
        if isinstance(value, list):
            value = ", ".join(value) or None
        typer.echo(f"{key:20} {'-' if value is None else value}")


@model_app.command()
def convert(
    path: Annotated[Path, typer.Argument(metavar="FILE", help="Meta's weights: wam_mit.pth, say.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Where to write: NAME.safetensors.")],
    licence: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Licence to write down; known for the published file names.")
    ] = None,
) -> None:
    """Convert Meta's WAM weights to safetensors, which cannot carry code and says its licence.

    Example: wam model convert wam_mit.pth -o wam_mit.safetensors
    """
    from wam.models.meta.weights import load_weights, save_weights

    common.refuse_inputs([output], [path], "choose another")
    if output.suffix != ".safetensors":
        common.fail(f"{output}: expected a name ending in .safetensors, found another; choose one with -o")
    try:
        weights = load_weights(path)
        digest = save_weights(output, weights, licence=licence)
    except WamError as error:
        common.fail(error)
    except OSError as error:
        common.fail(f"{output}: expected a folder to write to, found: {error.strerror}; choose another")
    typer.echo(f"{path} -> {output}  SHA-256 {digest}")
