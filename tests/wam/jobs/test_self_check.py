"""The self-check: a mark that reads is kept, but not over another one, which leaves half of its bits unsure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from payload import encode, format_link
from wam.jobs.files import load
from wam.jobs.marking import SelfCheckError, finish, mark
from wam.marker import Watermarker

NUMBERS = (12345, 41, 11, 3)  # the words of the last three differ from the first in 6, 8 and 10 bits
WORDS = np.sort(encode(NUMBERS))


def embed(marker: Watermarker, source: Path, target: Path, word: int) -> None:
    loaded = load(source, target)
    finish(marker, loaded, mark(marker, [loaded], [word], None)[0], word, WORDS)


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
