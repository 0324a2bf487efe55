"""Files and pixels: reads a picture as a viewer shows it, encodes it again as the file it was, writes it whole.

``read_image`` gives (H, W, 3) uint8 RGB whatever the file holds; ``encode_image`` takes such pixels, marked, and
applies the change to the file's own samples: 16-bit stays 16-bit, grey stays grey, inks stay inks, transparency is
copied bit by bit and hidden colours are left alone. A palette or bilevel picture becomes RGB or grey, since its few
colours cannot carry a watermark.

EXIF orientation: saved in its own format, a picture keeps its EXIF byte for byte and its pixels turn back to the stored
orientation, so every viewer treats it as before. Saved in another format, pixels are upright and Orientation is 1.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TextIO, TypeVar

import numpy as np
from PIL import Image

from wam.errors import ImageError
from wam.pictures.atomic_write import save_atomically
from wam.pictures.containers.carried import put_back
from wam.pictures.containers.exif import has_thumbnail
from wam.pictures.containers.inventory import inventory
from wam.pictures.containers.parts import THUMBNAIL, besides_samples, missing
from wam.pictures.exactly import GET_AVIF, writes_exact_avif
from wam.pictures.formats import GET_HEIF, SUFFIXES, Metadata, Settings, check_format, heif_works
from wam.pictures.kinds import READ_SUFFIXES
from wam.pictures.metadata import fit_metadata, reset_orientation
from wam.pictures.reader import COPY_AGAIN, KNOWN, MAX_PIXELS, decode
from wam.pictures.samples import GREY_MODES, Picture, Pixels, compose, turn
from wam.pictures.small_copies import Copies
from wam.pictures.writer import encode

Result = TypeVar("Result")
_BACK = {6: 8, 8: 6}  # orientations that another one turns back

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "Picture",
    "Pixels",
    "default_output",
    "encode_image",
    "expand_inputs",
    "format_of",
    "read_image",
    "require_size",
    "write_bytes",
    "write_picture",
    "write_text",
]

MAX_BYTES = MAX_PIXELS * 8  # the largest file that is read: all of ``MAX_PIXELS`` as raw 16-bit RGBA, in bytes


def read_image(source: str | os.PathLike[str] | bytes | BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Picture:
    """Reads a picture from a path, ``"-"`` (standard input), file content, or an open binary file.

    Raises ``ImageError`` for anything that is not one whole still picture of a known format with at most
    ``max_pixels``.
    """
    content, name = read_content(source)
    return decode(content, name=name, max_pixels=max_pixels)


def read_content(source: str | os.PathLike[str] | bytes | BinaryIO, *, max_bytes: int = MAX_BYTES) -> tuple[bytes, str]:
    """The bytes of a file, at most ``max_bytes`` unless they are given, and what errors call it; see ``read_image``."""
    if isinstance(source, bytes):
        return source, "picture"
    if source == "-":
        return _read_stream(sys.stdin.buffer, "standard input", max_bytes), "standard input"
    if not isinstance(source, str | os.PathLike):
        name = str(getattr(source, "name", "picture"))
        return _read_stream(source, name, max_bytes), name
    name = os.fspath(source)
    if os.path.isdir(name):
        if not os.access(name, os.R_OK | os.X_OK):
            raise ImageError.about(
                name, expected="a readable folder", found="Permission denied", remedy="check its permissions"
            )
        raise ImageError.about(name, expected=KNOWN, found="a folder with none", remedy="name a picture")
    remedy = "check the name and permissions"
    with _file_errors(name, expected="a readable file", remedy=remedy), open(name, "rb") as stream:
        return _read_stream(stream, name, max_bytes), name


def require_size(picture: Picture, least: int) -> None:
    """Raises ``ImageError`` if a side of the picture is shorter than ``least`` pixels."""
    if min(picture.width, picture.height) < least:
        raise ImageError.about(
            picture.name,
            expected=f"a picture of at least {least}x{least} pixels",
            found=f"{picture.width}x{picture.height}",
            remedy="use a larger copy",
        )


def encode_image(
    pixels: Pixels,
    *,
    like: Picture,
    format: str,
    quality: int | None = None,
    name: str | None = None,
) -> tuple[bytes, tuple[str, ...]]:
    """File content for marked pixels, and names for what it could not carry over.

    ``pixels`` is (H, W, 3) uint8 RGB as in ``like``; ``format`` a key of ``formats.MODES``; ``name`` what errors call
    the output. In the format of ``like``, its own encoder settings are used; ``quality`` (1 to 100) replaces those of
    JPEG, AVIF, HEIC and WebP. Raises ``ImageError`` for a picture that the format cannot hold, ``ValueError`` for
    arguments that are none of these.
    """
    _check_arguments(pixels, like, format, quality)
    name = name or like.name
    samples, mode, lost = compose(pixels, like, format, name)
    copies = copies_of(like, format, pixels)
    metadata, settings = describe(like, format, mode, copies)
    if format == like.format:
        samples = turn(samples, _BACK.get(like.orientation, like.orientation))
    if format == "HEIF" and not heif_works():
        raise ImageError.about(name, expected="the HEIC plugin", found="none", remedy=GET_HEIF)
    try:
        content = encode(samples, format=format, mode=mode, metadata=metadata, settings=settings, quality=quality)
    except Exception as error:  # Pillow's encoders have no common error
        raise ImageError.about(
            name,
            expected=f"a picture that fits {format}",
            found=f"{like.width}x{like.height} {like.mode} ({error})",
            remedy="write a .png",
        ) from error
    return finished(content, like, format, settings, metadata, copies, lost)


def as_stored(pixels: Pixels, like: Picture, format: str) -> Pixels:
    """Marked pixels turned as the new file stores them."""
    return turn(pixels, _BACK.get(like.orientation, like.orientation)) if format == like.format else pixels


def copies_of(like: Picture, format: str, pixels: Pixels) -> Copies:
    """What makes small copies of the marked pixels for those in the file, as the new file stores them."""
    return Copies(as_stored(like.pixels, like, format), as_stored(pixels, like, format))


def describe(like: Picture, format: str, mode: str, copies: Copies) -> tuple[Metadata, Settings]:
    """Metadata and encoder settings of the new file."""
    if format != like.format:
        fitted = fit_metadata(reset_orientation(like.metadata), format=format, mode=mode)
        return copies.of_metadata(fitted), Settings()
    metadata = copies.of_metadata(like.metadata)
    return metadata, copies.of_settings(like.settings, like.metadata, metadata)


def finished(
    content: bytes,
    like: Picture,
    format: str,
    settings: Settings,
    metadata: Metadata,
    copies: Copies,
    lost: tuple[str, ...],
) -> tuple[bytes, tuple[str, ...]]:
    """The encoded file with what it takes over as it stands, and names for all that is not in it."""
    size = (like.width, like.height)
    content = put_back(content, format, settings.carried, size=size, packet=metadata.xmp)
    wanted = copies.of_parts(like.parts if format == like.format else besides_samples(like.parts), settings.carried)
    gone = [name for name in missing(wanted, inventory(content, format)) if not _is_said(name, like.settings.lost)]
    changed = _changed(like) if format == like.format else _of_thumbnail(like, metadata, gone)
    return content, tuple(dict.fromkeys((*lost, *like.settings.lost, *gone, *copies.dropped, *changed)))


def _changed(like: Picture) -> Iterator[str]:
    """What a file of the same format is encoded otherwise in."""
    yield from like.settings.changed
    if like.format == "AVIF" and like.settings.exact and not writes_exact_avif(grey=like.mode in GREY_MODES):
        yield f"samples to the level ({GET_AVIF})"


def _of_thumbnail(like: Picture, metadata: Metadata, gone: Sequence[str]) -> Iterator[str]:
    """Says that a turned picture's thumbnail, which lay on its side, is another one."""
    if like.orientation != 1 and THUMBNAIL not in gone and metadata.exif and has_thumbnail(metadata.exif):
        yield f"{THUMBNAIL} of the stored pixels (an upright one was made)"


def _is_said(name: str, lost: tuple[str, ...]) -> bool:
    """Whether a longer name says the same."""
    return any(other.startswith(f"{name} that is ") for other in lost)


def _check_arguments(pixels: Pixels, like: Picture, format: str, quality: int | None) -> None:
    if pixels.shape != like.pixels.shape or pixels.dtype != np.uint8:
        found = f"{pixels.shape} {pixels.dtype}"
        raise ValueError(f"expected {like.pixels.shape} uint8 pixels, found {found}, convert them")
    check_format(format)
    if quality is not None and not 1 <= quality <= 100:
        raise ValueError(f"expected a quality from 1 to 100, found {quality}, choose one")


def format_of(name: str | os.PathLike[str]) -> str:
    """The format of a file's name; raises ``ImageError`` for a name without one that is written."""
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES:
        raise ImageError.about(
            name,
            expected=f"an output name ending in {', '.join(SUFFIXES)}",
            found=suffix or "no extension",
            remedy="choose one of these",
        )
    return SUFFIXES[suffix]


def write_bytes(path: str | os.PathLike[str], content: bytes, *, private: bool = False) -> None:
    """Writes a file whole or not at all, if it is ``private`` for its owner alone; see ``save_atomically``."""
    with _file_errors(path, expected="a file that can be written", remedy="choose another place"):
        save_atomically(path, lambda temporary: temporary.write_bytes(content), private=private)


def write_picture(path: str | os.PathLike[str], picture: Image.Image) -> None:
    """Writes a picture of our own making (an overlay, a mask) in the format of its extension, whole or not at all."""
    buffer = io.BytesIO()
    picture.save(buffer, format_of(path))
    write_bytes(path, buffer.getvalue())


def write_text(path: str | os.PathLike[str], write: Callable[[TextIO], Result], *, private: bool = False) -> Result:
    """Writes a text file whole or not at all; ``write`` is given the open stream, its result is returned. Nothing but
    what ``write`` holds is in memory."""
    results = list[Result]()

    def save(temporary: Path) -> None:
        with open(temporary, "w", encoding="utf-8", newline="\n") as stream:
            results.append(write(stream))

    with _file_errors(path, expected="a file that can be written", remedy="choose another place"):
        save_atomically(path, save, private=private)
    return results[0]


def expand_inputs(paths: Iterable[str | os.PathLike[str]]) -> list[str | Path]:
    """The inputs with each folder replaced by the pictures in it, recursively and sorted.

    Pictures are files with a suffix of ``READ_SUFFIXES``, not hidden; linked folders are
    followed, each real folder once. ``"-"`` stays. A folder without pictures, or one that cannot
    be listed, stays too: ``read_image`` then refuses it with the right error.
    """
    inputs: list[str | Path] = []
    for path in (os.fspath(path) for path in paths):
        if path == "-":
            inputs.append(path)
        elif os.path.isdir(path):
            inputs.extend(list(files_in(Path(path), READ_SUFFIXES)) or [Path(path)])
        else:
            inputs.append(Path(path))
    return inputs


def default_output(path: str | os.PathLike[str], *, format: str | None = None) -> Path:
    """``NAME.wm.EXT`` beside the input; ``format`` supplies EXT where the name has none we write."""
    name = Path(path)
    if format is not None and name.suffix.lower() not in SUFFIXES:
        suffix = next(suffix for suffix, known in SUFFIXES.items() if known == format)
        return name.with_name(f"{name.name}.wm{suffix}")
    return name.with_name(f"{name.stem}.wm{name.suffix}")


def files_in(folder: Path, suffixes: Set[str]) -> Iterator[Path]:
    """Files below a folder with one of these endings, in lower case, not hidden, and folders that cannot be listed.

    In order, a folder's own where its name stands; each folder is listed when its turn has come.
    """
    seen: set[str] = set()
    waiting: list[tuple[Path, bool]] = [(folder, True)]  # the next one last, each with whether it is a folder
    while waiting:
        path, is_folder = waiting.pop()
        if not is_folder:
            if path.suffix.lower() in suffixes and _is_file(path):
                yield path
            continue
        real = os.path.realpath(path)
        if real in seen:
            continue
        seen.add(real)
        try:
            with os.scandir(path) as entries:
                found = sorted((entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != ".")
        except OSError:
            yield path
            continue
        waiting += [(path / name, below) for name, below in reversed(found)]


def _is_file(path: Path) -> bool:
    """Whether there is a file or a link; one that may not be looked at is taken for one: reading it tells."""
    try:
        return path.is_file() or path.is_symlink()
    except OSError:
        return True


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry of a folder is one too; a loop of links is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _read_stream(stream: BinaryIO, name: str, max_bytes: int) -> bytes:
    with _file_errors(name, expected="a readable file", remedy=COPY_AGAIN):
        content = stream.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ImageError.about(
            name,
            expected=f"at most {max_bytes:,} bytes",
            found="more",
            remedy="use a smaller copy",
        )
    return content


@contextmanager
def _file_errors(name: str | os.PathLike[str], *, expected: str, remedy: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a null character in the name
        found = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise ImageError.about(name, expected=expected, found=found, remedy=remedy) from error
