"""The self-check: a mark that reads is kept, but not over another one, which leaves half of its bits unsure."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from payload import Record, bits_from_word, encode, format_link
from payload.layout import Words
from payload.registry import Registry
from tests.wam.pipeline.one_file import EmbedJob, detect_file, embed_file
from wam.pictures.files import read_image
from wam.pipeline.binding import compare_part, part_of, sketch_of
from wam.pipeline.loaded import Loaded, load
from wam.pipeline.mark_link import LinkMarking, mark_link
from wam.pipeline.marked import SelfCheckError
from wam.pipeline.marking import Request, mark_one
from wam.pipeline.options import MarkOptions
from wam.pipeline.registered_words import RegisteredWords
from wam.signal.label import Label
from wam.watermarker import Watermarker

NUMBERS = (12345, 41, 11, 3)  # the words of the last three differ from the first in 6, 8 and 10 bits
WORDS = np.sort(encode(NUMBERS))
RECORD = Record("1", "acme")


class Known(RegisteredWords):
    """Those words, whatever a registry holds."""

    def get(self, *, label: Label | None = None, renew: bool = False) -> Words:
        return WORDS


KNOWN = Known()


def embed(marker: Watermarker, source: Path, target: Path, word: int) -> None:
    loaded = load(source.read_bytes(), name=str(source), target=str(target))
    target.write_bytes(mark_link(marker, loaded, record=RECORD, word=word, words=KNOWN).content)


@pytest.mark.parametrize(("other", "differ"), [(41, 6), (11, 8), (3, 10)])
@pytest.mark.parametrize("quality", [95, 75])
def test_a_marked_photo_is_not_marked_again(
    shipped: Watermarker, dune: Image.Image, tmp_path: Path, other: int, differ: int, quality: int
) -> None:
    first, second = (int(word) for word in encode([12345, other]))
    assert (first ^ second).bit_count() == differ
    dune.resize((384, 256)).save(tmp_path / "in.jpg", quality=quality)
    embed(shipped, tmp_path / "in.jpg", tmp_path / "once.jpg", first)
    with pytest.raises(SelfCheckError, match=rf"marked already \({format_link(first)}\), use the unmarked original"):
        embed(shipped, tmp_path / "once.jpg", tmp_path / "twice.jpg", second)
    assert not (tmp_path / "twice.jpg").exists()


def test_a_photo_with_a_marked_inset_is_marked(
    shipped: Watermarker, dune: Image.Image, dragonfly: Image.Image, tmp_path: Path
) -> None:
    first, second = (int(word) for word in encode([12345, 11]))
    dragonfly.save(tmp_path / "inset.png")
    embed(shipped, tmp_path / "inset.png", tmp_path / "inset.wm.png", first)
    page = dune.copy()
    page.paste(Image.open(tmp_path / "inset.wm.png").resize((300, 169)), (40, 40))
    page.save(tmp_path / "page.png")
    embed(shipped, tmp_path / "page.png", tmp_path / "page.wm.png", second)
    assert (tmp_path / "page.wm.png").exists()


def coarse_jpeg(picture: Image.Image) -> Loaded:
    stream = BytesIO()
    picture.save(stream, "JPEG", quality=12)
    return load(stream.getvalue(), name="in.jpg")


def test_the_remedy_for_a_coarse_source_is_one_that_works(shipped: Watermarker, dune: Image.Image) -> None:
    request = Request(coarse_jpeg(dune.resize((384, 256))), RECORD, int(WORDS[0]))
    with pytest.raises(SelfCheckError, match=r"in a JPEG saved coarsely, use --quality 80 or higher"):
        mark_one(shipped, LinkMarking(words=KNOWN), request)
    with pytest.raises(SelfCheckError, match=r"in a JPEG saved coarsely, use --quality 80 or higher"):
        mark_one(shipped, LinkMarking(MarkOptions(quality=10), KNOWN), request)
    assert mark_one(shipped, LinkMarking(MarkOptions(quality=80), KNOWN), request).report.words == (int(WORDS[0]),)


def test_what_cannot_be_read_back_is_marked_stronger_unless_a_strength_was_asked_for(
    shipped: Watermarker, dune: Image.Image, tmp_path: Path
) -> None:
    dune.resize((384, 256)).save(tmp_path / "in.png")
    loaded = load((tmp_path / "in.png").read_bytes())
    word, invisible = int(WORDS[0]), loaded.picture.pixels
    request = Request(loaded, RECORD, word)
    with pytest.raises(SelfCheckError, match="found no watermark, use a larger copy"):
        LinkMarking(MarkOptions(strength=52.0), KNOWN).finish(shipped, request, word, invisible)
    marked = LinkMarking(words=KNOWN).finish(shipped, request, word, invisible)
    assert 38 < marked.report.psnr_db < 44
    stronger = "marked with strength strong, stronger than usual, since it could not be read back otherwise"
    assert stronger in marked.report.notes
    assert [found.bits for found in shipped.glance(read_image(marked.content).pixels)] == [bits_from_word(word)]


def lossy(picture: Image.Image, quality: int) -> Loaded:
    stream = BytesIO()
    picture.save(stream, "WEBP", quality=quality)
    return load(stream.getvalue(), name="in.webp")


def test_a_lossy_file_that_reads_is_read_once(
    shipped: Watermarker, dune: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []
    for name in ("glance", "detect"):
        look = getattr(shipped, name)

        def counted(*arguments: Any, name: str = name, look: Callable[..., Any] = look, **options: Any) -> Any:
            looks.append(name)
            return look(*arguments, **options)

        monkeypatch.setattr(shipped, name, counted)
    done = mark_one(shipped, LinkMarking(words=KNOWN), Request(lossy(dune, 90), RECORD, int(WORDS[0])))
    assert done.report.words == (int(WORDS[0]),) and looks == ["glance", "glance"]  # of the output and of the input


def test_a_stronger_mark_is_saved_as_finely_as_the_first_one_was_in_the_end(
    shipped: Watermarker, dune: Image.Image
) -> None:
    loaded, word = lossy(dune.resize((384, 256)), 60), int(WORDS[0])
    marked = LinkMarking(words=KNOWN).finish(shipped, Request(loaded, RECORD, word), word, loaded.picture.pixels)
    quality = read_image(marked.content).settings.source_quality
    assert any(note.startswith("marked with strength") for note in marked.report.notes)
    assert quality is not None and quality >= 90 > (loaded.picture.settings.source_quality or 0)


def test_a_cut_picture_is_no_transplant(shipped: Watermarker, dune: Image.Image, tmp_path: Path) -> None:
    registry = Registry.open(str(tmp_path / "registry.sqlite"))
    dune.resize((540, 360)).save(tmp_path / "in.png")
    embed_file(EmbedJob(shipped, registry, None), tmp_path / "in.png", tmp_path / "out.png", Record("1", "acme"))
    whole = Image.open(tmp_path / "out.png")
    for box in ((0, 0, 430, 360), (60, 0, 480, 360), (0, 0, 540, 300)):
        whole.crop(box).save(tmp_path / "cut.png")
        _, (reading,) = detect_file(shipped, tmp_path / "cut.png", registry)
        assert (reading.status, reading.transplanted) == ("verified", False), box


def test_a_negative_is_read_as_one(shipped: Watermarker, dune: Image.Image) -> None:
    bits = bits_from_word(int(WORDS[0]))
    marked = np.asarray(shipped.embed(dune, bits).image)
    sketch = sketch_of(marked)
    for shown, negative in ((marked, False), (255 - marked, True), (255 - marked[40:, 60:], True)):
        (found,) = shipped.detect(shown)
        assert (found.bits, found.pose.negative) == (bits, negative)
        compared = compare_part(part_of(shown, found), sketch, negative=negative)
        assert (compared.binding, compared.ways) == ("own", 1 + negative)
