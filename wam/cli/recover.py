"""``wam recover``: the manifest of a picture from a copy that has lost it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from wam.cli import common, panels
from wam.cli.choices import Device
from wam.cli.one_by_one import read_file, words_of
from wam.errors import WamError, show_name
from wam.models.catalogue import DEFAULT
from wam.packages import require_for

Output = Annotated[
    Path | None,
    typer.Option(
        "-o",
        "--output",
        metavar="FILE",
        rich_help_panel=panels.OUTPUT,
        help="Where to write the manifest store (application/c2pa), that of the surest match.",
        parser=common.local_path,
    ),
]


def recover(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="A copy, or - (standard input).")],
    output: Output = None,
    as_json: common.JsonRowsOption = False,
    registry: common.RegistriesOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = DEFAULT,
    device: common.DeviceOption = Device.AUTO,
    debug: common.DebugOption = False,
) -> None:
    """Find the C2PA manifest that was signed for a picture, from a copy without it: cropped, saved again, in a collage.

    By its marks, where the manifest kept in the registry names them; else by a fingerprint of what it looks like, which
    points to a picture and proves nothing.

    Exit status 0: one was found. 1: none. 2: the copy could not be read, or usage.

    Example: wam recover copy.jpg -o manifest.c2pa
    """
    require_for("wam recover")
    from wam.pictures.files import write_bytes
    from wam.pictures.storage import locate
    from wam.pipeline.chance import show_chance
    from wam.pipeline.recover import recover as find
    from wam.provenance.soft_value import EXACT

    location = locate(image)
    if output is not None:
        common.refuse_inputs([output], [location, *common.own_files(registry, key_file, model)], "choose another")
    marker = common.loaded(common.marker_loader(model, device, [*common.read_keys(key_file), None]))
    registries = common.open_registries(registry)
    copy = read_file(marker, words_of(registries), location, debug=debug)
    if copy is None:
        raise typer.Exit(2)
    found = find(copy.picture, copy.findings, registries)
    if found and output is not None:
        try:
            write_bytes(output, found[0].manifest.store)
        except WamError as error:
            common.fail(error)
    for place, one in enumerate(found):
        written = str(output) if output is not None and place == 0 else None
        if as_json:
            said = {
                "image": image,
                "manifest": one.manifest.id,
                "by": one.way,
                "value": None if one.value is None else one.value.hex(),
                "log10_p": None if one.log10_p is None else round(one.log10_p, 2),
                "similarity": one.similarity,
                "state": one.state.state,
                "registry": one.registry,
                "output": written,
            }
            common.print_json(said)
        else:
            sure = f"chance {show_chance(one.log10_p)}" if one.log10_p is not None else f"{one.similarity}% alike"
            if one.way == "mark" and one.similarity < EXACT:
                sure += ", which generation it does not say"
            end = "" if written is None else f" -> {show_name(written)}"
            typer.echo(f"{show_name(image)}: {one.manifest.id} by {one.way} ({sure}), {one.state.state}{end}")
    if not found:
        if not as_json:
            typer.echo(f"{show_name(image)}: no manifest is kept of it")
        raise typer.Exit(1)
