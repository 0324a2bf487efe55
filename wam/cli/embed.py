"""``wam embed``: mark pictures with a new short link each."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from payload import Record, parse_time
from wam.cli import common
from wam.errors import show_name

if TYPE_CHECKING:
    from wam.jobs import EmbedJob, EmbedResult


def embed(
    images: common.Images,
    asset: Annotated[str, typer.Option(metavar="ID", help="Asset ID of the pictures.")],
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who owns them.")],
    user: Annotated[str | None, typer.Option(metavar="ID", help="User ID, to trace who received or made them.")] = None,
    time: Annotated[
        str | None, typer.Option(metavar="RFC3339", help="Ingest time, such as 2026-11-22T09:30:00Z; default now.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Where to write; one input only.")
    ] = None,
    out_dir: Annotated[
        Path | None, typer.Option("--out-dir", metavar="DIR", help="Folder to write to, under the inputs' names.")
    ] = None,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the inputs.")] = False,
    mode: Annotated[
        str, typer.Option(metavar="link", help="link: the mark is a short link, the record is in the registry.")
    ] = "link",
    strength: Annotated[
        float | None, typer.Option(metavar="DB", help="PSNR to aim for, 30 to 55 dB; lower is more robust.")
    ] = None,
    registry: common.RegistryOption = None,
    key_file: common.KeyOption = None,
    model: common.ModelOption = common.DEFAULT_MODEL,
    device: common.DeviceOption = "auto",
    as_json: common.JsonOption = False,
    debug: common.DebugOption = False,
) -> None:
    """Mark pictures invisibly and register what the mark stands for.

    Each picture gets its own 32-bit short link; asset, owner, user and time are kept in the registry, not in the
    pixels. The marked file is read back before it is kept. Default output: NAME.wm.EXT beside the input.
    """
    from wam.images import expand_inputs
    from wam.jobs import EmbedJob
    from wam.marker import DEFAULT_STRENGTH, STRENGTHS

    if mode != "link":
        common.fail(f"--mode: expected link, found {mode}; this version marks with short links only")
    chosen = DEFAULT_STRENGTH if strength is None else strength
    if not STRENGTHS[0] <= chosen <= STRENGTHS[1]:
        common.fail(f"--strength: expected {STRENGTHS[0]:g} to {STRENGTHS[1]:g} dB, found {chosen:g}; 42 is usual")
    record = _record(asset, owner, user, time)
    sources = expand_inputs(images)
    targets = _targets(sources, images, output, out_dir, in_place)
    marker = common.load_marker(model, device, key_file, reading=False)
    job = EmbedJob(marker, common.open_registry(registry, create=True), chosen)
    failures = 0
    for source, target in common.with_progress(list(zip(sources, targets, strict=True)), "embedding"):
        failures += not _one(job, source, target, record, as_json=as_json, debug=debug)
    if failures:
        raise typer.Exit(1)


def _one(job: EmbedJob, source: str | Path, target: Path, record: Record, *, as_json: bool, debug: bool) -> bool:
    """Marks one file and prints the outcome; False when it failed."""
    from wam.jobs import embed_file

    try:
        result = embed_file(job, source, target, record)
    except common.EXPECTED_ERRORS as error:
        if debug:
            raise
        message = common.about(source, error)
        common.report(message)
        if as_json:
            common.print_json(_failed(source, record, job.marker.name, message, error))
        return False
    common.print_json(result.to_dict()) if as_json else typer.echo(_line(result))
    return True


def _line(result: EmbedResult) -> str:
    lost = f"  (not kept: {', '.join(result.lost)})" if result.lost else ""
    quality = f"{result.psnr_db:.1f} dB  SSIM {result.ssim:.3f}"
    names = f"{show_name(result.image)} -> {show_name(result.output)}"
    return f"{names}  {result.entry.link}  {quality}  self-check passed{lost}"


def _failed(source: str | Path, record: Record, model: str, message: str, error: BaseException) -> dict[str, object]:
    nothing = dict.fromkeys(["output", "width", "height"])
    rest = dict.fromkeys(["link", "messages", "psnr_db", "ssim"])
    from wam.jobs import SelfCheckError

    check = "failed" if isinstance(error, SelfCheckError) else None
    return {
        "image": os.fspath(source), **nothing, "mode": "link", "record": record.to_dict(), **rest,
        "self_check": check, "model": model, "error": message,
    }  # fmt: skip


def _record(asset: str, owner: str, user: str | None, time: str | None) -> Record:
    try:
        return Record(asset, owner, user, parse_time(time)) if time else Record(asset, owner, user)
    except ValueError as error:
        common.fail(error)


def _targets(
    sources: list[str | Path], images: list[str], output: Path | None, out_dir: Path | None, in_place: bool
) -> list[Path]:
    """One output per input; refuses what would overwrite an input or write two pictures to one name."""
    from wam.images import default_output

    if sum([output is not None, out_dir is not None, in_place]) > 1:
        common.fail("output: expected one of -o, --out-dir, --in-place, found several; choose one")
    if output is not None and len(sources) != 1:
        common.fail(f"-o: expected one input, found {len(sources)}; use --out-dir")
    if "-" in sources and output is None:
        common.fail("-: expected -o FILE for a picture from standard input, found none; add it")
    if output is not None:
        targets = [output]
    elif in_place:
        targets = [Path(source) for source in sources]
    elif out_dir is not None:
        common.make_folder(out_dir)
        targets = [out_dir / _below(Path(source), images) for source in sources]
        for target in targets:
            common.make_folder(target.parent)
    else:
        targets = [default_output(source) for source in sources]
    if len(set(targets)) < len(targets):
        common.fail("output: expected a different name for each input, found the same name twice; mark them one by one")
    if not in_place:
        common.refuse_inputs(targets, sources, "use --in-place to replace it")
    return targets


def _below(source: Path, images: list[str]) -> Path:
    """The part of a path below the folder that was named, so that folders keep their tree."""
    for image in images:
        folder = Path(image)
        if folder.is_dir() and source.is_relative_to(folder):
            return source.relative_to(folder)
    return Path(source.name)
