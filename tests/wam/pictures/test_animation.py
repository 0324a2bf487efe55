"""Animations: every frame is marked, timing and transparency stay, and nothing is guessed without being asked."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from tests.wam.pictures.pictures import XMP, colours, marked, opened, sample, saved
from tests.wam.synthetic import smooth_picture
from wam.errors import ImageError
from wam.pictures.animation import encode_animation, read_animation
from wam.pictures.files import read_image
from wam.watermarker import Watermarker

DURATIONS = [100, 250, 400]
TOLERANCE = {"GIF": 3.0, "AVIF": 2.0, "WEBP": 0.0, "PNG": 0.0}  # the largest mean error of a frame, in 8-bit levels


def animated(format: str, *, alpha: bool = False, **options: object) -> bytes:
    frames = [np.roll(colours(), 7 * number, axis=1) for number in range(3)]
    if alpha:
        holes = [np.full(colours().shape[:2], 255, np.uint8) for _ in frames]
        for number, hole in enumerate(holes):
            hole[: 10 + 3 * number, :20] = 0
        frames = [np.dstack(pair) for pair in zip(frames, holes, strict=True)]
    pictures = [Image.fromarray(frame) for frame in frames]
    defaults = {"GIF": {"disposal": 2 if alpha else 1}, "WEBP": {"lossless": True}, "AVIF": {"quality": 95}}
    keep = {"save_all": True, "append_images": pictures[1:], "duration": DURATIONS, "loop": 3}
    return saved(pictures[0], format, **(keep | defaults.get(format, {}) | options))


@pytest.mark.parametrize("alpha", [False, True])
@pytest.mark.parametrize("format", TOLERANCE)
def test_every_frame_is_marked_and_the_animation_kept(format: str, alpha: bool) -> None:
    animation = read_animation(animated(format, alpha=alpha))
    wanted = [marked(picture) for picture in animation.pictures]
    content, _ = encode_animation(wanted, like=animation, format=format)
    again = read_animation(content)
    assert animation.durations == again.durations == tuple(DURATIONS)
    assert animation.loops == again.loops == (None if format == "AVIF" else 3)
    assert [picture.format for picture in again.pictures] == [format] * 3
    for before, after, pixels in zip(animation.pictures, again.pictures, wanted, strict=True):
        seen = slice(None) if after.alpha is None else after.alpha > 0
        assert np.abs(after.pixels.astype(int) - pixels)[seen].mean() <= TOLERANCE[format]
        assert (before.alpha is None) == (after.alpha is None) == (not alpha)
        assert before.alpha is None or after.alpha is None or (before.alpha == after.alpha).all()


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_frames_are_those_that_pillow_shows(format: str) -> None:
    content = animated(format, alpha=True)
    picture = opened(content)
    for number, frame in enumerate(read_animation(content).pictures):
        picture.seek(number)
        shown = np.array(picture.convert("RGBA"))
        assert (frame.pixels == shown[..., :3]).all()
        assert frame.alpha is not None and (frame.alpha == shown[..., 3]).all()


def test_each_frame_of_a_gif_reads_back(light: Watermarker) -> None:
    bits = "01100111000011110000111100001111"
    frames = [Image.fromarray(smooth_picture(160, 160, seed=seed)) for seed in (1, 2)]
    gif = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=80)
    animation = read_animation(gif)
    pixels = [np.asarray(light.embed(picture.pixels, bits, strength=36).image) for picture in animation.pictures]
    content, lost = encode_animation(pixels, like=animation, format="GIF")
    assert lost == ("colours beyond 255",)
    for picture in read_animation(content).pictures:
        assert bits in [found.bits for found in light.detect(picture.pixels)]


def test_gif_may_become_webp() -> None:
    animation = read_animation(animated("GIF"))
    content, lost = encode_animation([marked(p) for p in animation.pictures], like=animation, format="WEBP")
    assert read_animation(content).durations == tuple(DURATIONS)
    assert lost == ("palette",)


def test_lossy_webp_stays_lossy() -> None:
    animation = read_animation(animated("WEBP", lossless=False, quality=60))
    assert not animation.pictures[0].settings.lossless
    assert read_animation(animated("WEBP")).pictures[0].settings.lossless


def test_a_still_picture_is_one_frame() -> None:
    content = saved(sample("RGB"), "JPEG", xmp=XMP)
    animation = read_animation(content)
    assert (len(animation.pictures), animation.durations, animation.loops) == (1, (0,), None)
    again, _ = encode_animation([marked(animation.pictures[0])], like=animation, format="JPEG")
    assert opened(again).info["xmp"] == XMP


def test_formats_without_animation_are_refused() -> None:
    animation = read_animation(animated("GIF"))
    with pytest.raises(ImageError, match=r"found JPEG, write a \.webp or \.gif$"):
        encode_animation([p.pixels for p in animation.pictures], like=animation, format="JPEG")


def test_pages_are_not_frames() -> None:
    pages = saved(sample("RGB"), "TIFF", save_all=True, append_images=[sample("RGB")])
    with pytest.raises(ImageError, match=r"found several pages \(TIFF\), save each page"):
        read_animation(pages)


def test_a_long_animation_is_refused_before_it_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    content, size = animated("GIF"), colours()[..., 0].size
    assert len(read_animation(content, max_pixels=3 * size).pictures) == 3
    monkeypatch.setattr(Image.Image, "load", lambda picture: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="found 3 frames of 56x40, use a shorter or smaller copy"):
        read_animation(content, max_pixels=3 * size - 1)


def test_a_large_still_picture_is_refused_with_its_own_size() -> None:
    content = saved(sample("RGB"), "BMP")
    with pytest.raises(ImageError, match="at most 2,239 pixels, found 56x40, use a smaller copy"):
        read_animation(content, max_pixels=2239)


@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
@pytest.mark.parametrize("format", ["WEBP", "PNG", "AVIF"])
def test_a_cut_animation_is_refused(format: str, share: float) -> None:
    content = animated(format)
    with pytest.raises(ImageError) as error:
        read_animation(content[: int(len(content) * share)])
    assert str(error.value).isprintable()


def test_without_being_asked_an_animation_is_refused_with_the_option() -> None:
    with pytest.raises(ImageError, match=r"several pages \(GIF\), use --all-frames, or save the frame"):
        read_image(animated("GIF"))


def test_a_fallback_picture_stays_one() -> None:
    frames = [Image.fromarray(np.roll(colours(), 7 * number, axis=1)) for number in range(3)]
    options = {"save_all": True, "append_images": frames[1:], "duration": [100, 200], "default_image": True}
    animation = read_animation(saved(frames[0], "PNG", **options))
    assert animation.fallback and animation.durations == (0, 100, 200)
    wanted = [marked(picture) for picture in animation.pictures]
    content, lost = encode_animation(wanted, like=animation, format="PNG")
    again = read_animation(content)
    assert again.fallback and again.durations == (0, 100, 200) and lost == ()
    assert all((after.pixels == pixels).all() for after, pixels in zip(again.pictures, wanted, strict=True))
    elsewhere, said = encode_animation(wanted, like=animation, format="WEBP")
    assert said == ("fallback picture",) and read_animation(elsewhere).durations == (100, 200)


def test_the_background_of_a_webp_stays() -> None:
    animation = read_animation(animated("WEBP", background=(10, 20, 30, 255)))
    wanted = [marked(picture) for picture in animation.pictures]
    content, lost = encode_animation(wanted, like=animation, format="WEBP")
    assert opened(content).info["background"] == (10, 20, 30, 255) and lost == ()
    assert encode_animation(wanted, like=animation, format="PNG")[1] == ("background colour",)
