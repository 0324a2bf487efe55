"""What a program gives as a picture, a path, a URL, a file's content or a PIL image, as content with a name."""

from __future__ import annotations

import io
import os
from pathlib import Path

from PIL import Image

from wam.errors import ImageError
from wam.pictures.storage import fetch, is_url

GivenPicture = str | os.PathLike[str] | bytes | Image.Image

NAME = "picture"  # what errors call one without a name
# Pillow's modes: those that a PNG file holds, and what becomes of others that lose nothing by it
IN_PNG = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
CONVERTED = {"PA": "RGBA", "La": "LA", "RGBa": "RGBA", "RGBX": "RGB", "YCbCr": "RGB"}


def content_of(picture: GivenPicture) -> tuple[bytes, str]:
    """The content of a picture's file, and what errors call it; a PIL image as the file that holds its mode, PNG or
    TIFF, with its profile and EXIF. Raises ``ImageError``."""
    if isinstance(picture, bytes):
        return picture, NAME
    if isinstance(picture, Image.Image):
        return _content_of_image(picture), NAME
    if not isinstance(picture, str | os.PathLike):
        raise ImageError.about(
            NAME,
            expected="a path, a file's content or a PIL image",
            found=type(picture).__name__,
            remedy="convert it: Image.fromarray(array) for an array",
        )
    return fetch(picture if isinstance(picture, str) and is_url(picture) else Path(picture))


def _content_of_image(image: Image.Image) -> bytes:
    if getattr(image, "is_animated", False):
        raise ImageError.about(
            NAME,
            expected="one still picture",
            found="an animation as a PIL image",
            remedy="give its path or content with frames=True, or image.copy() for the frame that is shown",
        )
    if image.mode in CONVERTED:
        image = image.convert(CONVERTED[image.mode])
    format = "TIFF" if image.mode == "CMYK" else "PNG"
    if format == "PNG" and image.mode not in IN_PNG:
        raise ImageError.about(
            NAME, expected="8 or 16-bit grey, RGB or RGBA, or 8-bit CMYK", found=image.mode, remedy="convert it first"
        )
    exif = image.getexif()
    options = {"exif": exif.tobytes()} if exif else {}
    stream = io.BytesIO()
    image.save(stream, format, icc_profile=image.info.get("icc_profile"), **options)
    return stream.getvalue()
