"""What comes in: pictures as a form or as they are, and fields of forms."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from wam.errors import show_name
from wam.provenance.disclosure import LONGEST_PROMPT
from wam.service.problems import Problem, bad_request

LONGEST_FIELD = 4 * LONGEST_PROMPT  # bytes of a form's field, of which a character of a prompt takes four at most
FORM_FIELDS = 20
LONGEST_NAME = 200  # characters of a picture's name that are kept
RAW_TYPES = ("image/", "application/octet-stream")
UPLOAD = "upload"  # what errors call a picture without a name


@dataclass(frozen=True)
class Given:
    """A picture, what it is called, and the fields of its form; None where the body is the picture."""

    content: bytes
    name: str
    fields: Mapping[str, str] | None


async def picture_of(request: Request, name: str | None, *, max_bytes: int) -> Given:
    """The picture of a request; raises ``Problem``."""
    kind = media_type(request)
    fields: dict[str, str] | None = None
    if kind == "multipart/form-data":
        form = await form_of(request, files=1)
        try:
            files = [one for key, one in form.multi_items() if key == "file" and isinstance(one, UploadFile)]
            fields = {key: one for key, one in form.multi_items() if isinstance(one, str)}
            if len(files) != 1:
                raise bad_request("form: expected one picture in the field file, found none")
            content, name = await files[0].read(), name or files[0].filename
        finally:
            await form.close()
    elif kind.startswith(RAW_TYPES) or not kind:
        content = await request.body()
    else:
        raise wrong_type("image/*, application/octet-stream or multipart/form-data")
    if len(content) > max_bytes:
        raise Problem(413, "too-large", f"body: expected at most {max_bytes:,} bytes, found more; use a smaller copy")
    return Given(content, short_name(name), fields)


async def form_of(request: Request, *, files: int) -> FormData:
    """A multipart form, which the caller closes; raises ``Problem``."""
    try:
        return await request.form(max_files=files, max_fields=FORM_FIELDS, max_part_size=LONGEST_FIELD)
    except HTTPException as error:
        raise bad_request(f"form: expected one that can be read, found: {show_name(str(error.detail))}") from None


def short_name(name: str | None) -> str:
    """A picture's name without the folders it lay in.

    >>> short_name("C:\\\\photos\\\\a.png"), short_name("photos/a.png"), short_name(None), short_name("..")
    ('a.png', 'a.png', 'upload', 'upload')
    """
    last = PurePosixPath((name or "").replace("\\", "/")).name[-LONGEST_NAME:]
    return last if last.strip(". ") else UPLOAD


def media_type(request: Request) -> str:
    """The type of a body, without its parameters; empty where none is said."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def wrong_type(expected: str) -> Problem:
    """A body of a type that is not taken."""
    return Problem(415, "wrong-type", f"content-type: expected {expected}, found another")


def number_of(fields: Mapping[str, str], name: str) -> float | None:
    """A field as a number, None where there is none; raises ``ValueError``."""
    text = fields.get(name)
    try:
        number = float(text) if text else None
    except ValueError:
        number = math.nan
    if number is not None and not math.isfinite(number):
        raise ValueError(f"{name}: expected a number, found another")
    return number


def switch_of(fields: Mapping[str, str], name: str) -> bool:
    """A field as true or false; raises ``ValueError``."""
    text = fields.get(name, "").lower()
    if text not in ("", "true", "false", "1", "0", "on", "off"):
        raise ValueError(f"{name}: expected true or false, found another")
    return text in ("true", "1", "on")
