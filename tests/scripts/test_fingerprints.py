"""The script that says how far apart fingerprints are: its arithmetic, and a trial."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from scripts.fingerprints import apart, bits_of, least, main, most
from tests.wam.synthetic import varied_picture


def test_all_distances_are_counted() -> None:
    numbers = [0, 0b111, (1 << 256) - 1]
    assert apart(bits_of(numbers), bits_of(numbers)).tolist() == [[0, 3, 256], [3, 0, 253], [256, 253, 0]]
    assert least([(0,), (3,)], [(1, 7), (0, 3)]).tolist() == [[1, 0], [1, 0]]


def test_none_of_many_bears_out_three_over_their_number() -> None:
    assert most(0, 3000) == pytest.approx(1e-3, rel=0.01)
    assert most(1, 1000) > most(0, 1000) and most(5, 5) == 1.0


def test_pairs_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in range(3):
        Image.fromarray(varied_picture(seed=seed)).save(tmp_path / f"{seed}.png")
    Image.fromarray(np.ascontiguousarray(varied_picture(seed=0)[:, ::-1])).save(tmp_path / "mirrored.png")
    Image.new("RGB", (64, 64)).save(tmp_path / "blank.png")
    main(["pairs", str(tmp_path)])
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "4 photos with a fingerprint, 6 pairs"
    assert "0 within 30" in said[2] and "1 within 30" in said[3]
    assert said[4].split()[1:3] == ["0.png", "mirrored.png"] and said[4].endswith("mirrored left to right")
