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

WORDS = np.sort(encode([3, 1_400_000]))


def embed(marker: Watermarker, source: Path, target: Path, word: int) -> None:
    loaded = load(source, target)
    finish(marker, loaded, mark(marker, [loaded], [word], None)[0], word, WORDS)


@pytest.mark.parametrize("quality", [95, 75])
def test_a_marked_photo_is_not_marked_again(
    shipped: Watermarker, dune: Image.Image, tmp_path: Path, quality: int
) -> None:
    first, second = (int(word) for word in WORDS)
    dune.resize((384, 256)).save(tmp_path / "in.jpg", quality=quality)
    embed(shipped, tmp_path / "in.jpg", tmp_path / "once.jpg", first)
    with pytest.raises(SelfCheckError, match=rf"marked already \({format_link(first)}\), use the unmarked original"):
        embed(shipped, tmp_path / "once.jpg", tmp_path / "twice.jpg", second)
    assert not (tmp_path / "twice.jpg").exists()
