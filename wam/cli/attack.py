"""``wam attack``: apply the bench's attacks to a file."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Annotated

import typer

from wam.cli import common
from wam.errors import show_name
from wam.packages import require_for
from wam.pipeline.error_line import error_line


def attack(
    image: Annotated[str, typer.Argument(metavar="IMAGE", help="Picture to attack.")],
    attacks: Annotated[
        str, typer.Argument(metavar="NAME[=STRENGTH][,NAME...]", help="Such as jpeg=80,crop=0.5,rotate=10.")
    ],
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="Where to write (PNG keeps the result exactly); without extension, in the input's format; - for "
            "standard output.",
            parser=common.local_path,
        ),
    ],
    seed: Annotated[int, typer.Option(help="Of random places and noise.")] = 0,
    debug: common.DebugOption = False,
) -> None:
    """Crop, turn, compress or otherwise damage a picture, to see what its watermark survives.

    Colours: brightness, contrast, saturation, hue, gamma, grayscale, posterize.

    Blur and noise: gaussian_blur, median, sharpness, gaussian_noise.

    Denoisers: nl_means, tv, cv_nl_means, cv_bilateral (these two by OpenCV).

    Formats: jpeg, webp, avif, jpeg_2000, jxl, heic (these two with their extras).

    Place: resize, thumbnail, fit, aspect, crop (scaled back), crop_keep, pad,
    rotate, hflip, vflip, perspective.

    Parts: proportion, collage, inpaint, overlay_text, overlay_logo.

    Screens and print: subpixels, halftone, screenshot, screenshot_125,
    screenshot_150, phone_photo, print_scan, newspaper.

    Services: social, whatsapp, whatsapp_forwarded, wechat, instagram, x_small, cdn.

    Several at once: combination; nothing: identity.

    A strength that is missing or wrong is refused with what it may be.

    Example: wam attack photo.wm.jpg jpeg=80,crop=0.5,rotate=10 -o attacked.png
    """
    require_for("wam attack")
    from PIL import Image

    from attacks import parse
    from wam.pictures.files import read_image, write_picture
    from wam.pictures.storage import locate, write_content
    from wam.signal.filters import to_pixels
    from wam.watermarker import to_batch

    if _is_old_order(image, attacks):
        common.hint("wam attack ATTACKS IMAGE", "wam attack IMAGE ATTACKS")
        image, attacks = attacks, image
    try:
        steps = parse(attacks)
    except ValueError as error:
        common.fail(error)
    source, to_stdout = locate(image), str(output) == "-"
    if not to_stdout and source != "-":
        common.refuse_inputs([output], [source], "choose another")
    try:
        picture = read_image(source)
        result = steps(to_batch(picture.pixels), seed=seed).images[0]
        pixels = to_pixels(result.clamp(0, 1))
        if output.suffix:
            write_picture(output, Image.fromarray(pixels))
        else:
            content = BytesIO()
            Image.fromarray(pixels).save(content, picture.format)
            write_content("-" if to_stdout else output, content.getvalue())
    except common.EXPECTED_ERRORS as error:
        if debug:
            raise
        line = error_line(str(image), error)  # attacks take no frames
        common.fail(line.replace("use --frames all, or save the frame", "save the frame"), code=1)
    lost = ["transparency"] * (picture.alpha is not None) + ["16 bits"] * picture.mode.endswith(";16")
    said = f"  (not kept: {', '.join(lost)})" if lost else ""
    line = f"{image} -> {output}  {steps!r}  {pixels.shape[1]}x{pixels.shape[0]}{said}"
    typer.echo(show_name(line), err=to_stdout)


def _is_old_order(image: str, attacks: str) -> bool:
    """Whether the first argument names attacks and the second none, as in 0.2.0."""
    from attacks import parse

    def names_attacks(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return names_attacks(image) and not names_attacks(attacks)
