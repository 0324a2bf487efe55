"""The report of what marks look like: figures, order, files."""

from __future__ import annotations

import base64
import csv
import io
import re
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.wam.bench.doubles import Brightener, light_contender, photos_in
from tests.wam.synthetic import smooth_picture
from wam.bench import perception
from wam.bench.contenders import Contender
from wam.bench.perception import absent
from wam.bench.photos import ImageSet
from wam.bench.session import Options
from wam.bench.smooth_part import PART
from wam.bench.visibility import Visibility, look_at_all, marked_path, shown, summaries
from wam.bench.visibility_page import write_files
from wam.pictures.quality import psnr

SIZES = ((170, 260), (190, 250), (180, 300))


class Flickering(Brightener):
    """A method that cannot mark dark pictures, and steps up bright ones by more than others."""

    name = "flickering"

    def embed(self, photo, bits, *, strength):
        if photo.mean() < 0.2:
            raise ValueError("too dark")
        return (photo + (4 if photo.mean() > 0.6 else 1) / 255).clamp(0, 1)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    folder = tmp_path_factory.mktemp("pictures")
    for number, (height, width) in enumerate(SIZES):
        Image.fromarray(smooth_picture(height, width, seed=number)).save(folder / f"{number}.png")
    return ImageSet.of([str(folder)])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("looks")


@pytest.fixture(scope="module")
def report(images: ImageSet, folder: Path) -> Visibility:
    options = Options("", images, strengths=(38.0, 46.0), workers=1, command="wam bench --of-the-tests")
    found = look_at_all(options, light_contender, folder)
    assert write_files(folder, found) == ["visibility.html", "visibility.csv", "contact-sheet.jpg"]
    return found


def test_every_picture_at_every_strength_is_there_and_the_worst_comes_first(report: Visibility) -> None:
    assert len(report.looks) == 2 * len(SIZES) and report.failures == []
    strengths = [look.result.key.strength for look in report.looks]
    assert strengths == [38.0] * len(SIZES) + [46.0] * len(SIZES)  # more is seen of the stronger
    faint, strong = (line for line in sorted(summaries(report.looks), key=lambda line: -line.means["psnr_db"]))
    assert strong.means["over_noise"] > 1.5 * faint.means["over_noise"]
    assert strong.worst["psnr_db"] == min(look.figures["psnr_db"] for look in report.looks)
    assert strong.worst["over_noise"] == max(look.figures["over_noise"] for look in report.looks)


def test_figures_are_those_of_the_files_that_were_saved(report: Visibility, images: ImageSet, folder: Path) -> None:
    assert len({marked_path(look) for look in report.looks}) == len(report.looks)
    for look in report.looks:
        marked = np.asarray(Image.open(folder / marked_path(look)))
        original = np.asarray(Image.open(images.paths[look.result.number]))
        assert look.figures["psnr_db"] == pytest.approx(psnr(marked, original), abs=1e-3)
        top, left = look.figures["part_top"], look.figures["part_left"]
        place = np.s_[top : top + PART[0], left : left + PART[1]]
        assert (look.marked == marked[place]).all() and (look.original == original[place]).all()
        assert look.figures["repeats"] > 0.5 and look.figures["period"] == 32


def test_the_table_has_every_figure(report: Visibility, folder: Path) -> None:
    with open(folder / "visibility.csv", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["picture"] for row in rows] == [look.result.key.photo for look in report.looks]
    for row, look in zip(rows, report.looks, strict=True):
        assert row["contender"] == "handmade@00000000" and float(row["strength_db"]) == look.result.key.strength
        for name, value in look.figures.items():
            assert row[name] == ("" if value is None else str(value))


def test_the_page_is_one_file_with_three_pictures_at_twice_their_size(report: Visibility, folder: Path) -> None:
    page = (folder / "visibility.html").read_text(encoding="utf-8")
    assert "http" not in page.replace("http-equiv", "") and "wam bench --of-the-tests" in page
    panels = [base64.b64decode(code) for code in re.findall(r'src="data:image/png;base64,([^"]+)"', page)]
    assert len(panels) == 3 * len(report.looks)
    first = report.looks[0]
    original, marked, difference = (np.asarray(Image.open(io.BytesIO(panel))) for panel in panels[:3])
    assert original.shape == (2 * PART[0], 2 * PART[1], 3)
    assert (original[::2, ::2] == first.original).all() and (marked[1::2, 1::2] == first.marked).all()
    change = marked[::2, ::2].astype(int) - original[::2, ::2]
    assert (difference[::2, ::2] == np.clip(128 + 10 * change, 0, 255)).all()
    for look in report.looks:
        assert f'href="{marked_path(look)}"' in page and shown("over_noise", look.figures["over_noise"]) in page


def test_the_contact_sheet_shows_the_same(report: Visibility, folder: Path) -> None:
    with Image.open(folder / "contact-sheet.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.width > 6 * PART[1]
        assert sheet.height > len(report.looks) * 2 * PART[0]
        assert np.asarray(sheet).std() > 20


def build(kind: type[Contender]) -> Contender:
    return kind()


def test_peers_are_looked_at_beside_the_model(images: ImageSet, tmp_path: Path) -> None:
    options = Options("", images, limit=1, workers=1, peers=(partial(build, Brightener),))
    found = look_at_all(options, light_contender, tmp_path)
    assert {look.entrant for look in found.looks} == {"handmade@00000000", "brightener"}
    (step,) = (look for look in found.looks if look.entrant == "brightener")
    expected = set(absent()) ^ {"cvvdp_jod", "flip"}
    assert {name for name in ("cvvdp_jod", "flip") if step.figures[name] is not None} == expected
    assert step.figures["psnr_db"] < 40 and step.figures["repeats"] is None  # a step everywhere has no pattern
    write_files(tmp_path, found)
    assert "brightener" in (tmp_path / "visibility.html").read_text(encoding="utf-8")


def test_without_the_packages_the_ratio_orders_and_the_columns_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(perception, "find_spec", lambda name: None)
    (tmp_path / "in").mkdir()
    for name, grey in (("bright", 200), ("dark", 20), ("middle", 128)):
        Image.fromarray(np.full((96, 96, 3), grey, np.uint8)).save(tmp_path / "in" / f"{name}.png")
    (tmp_path / "in" / "none.png").write_bytes(b"no picture")
    found = look_at_all(Options("", ImageSet.of([str(tmp_path / "in")]), workers=1), Flickering, tmp_path)
    assert [look.result.key.photo for look in found.looks] == ["bright.png", "middle.png"]
    assert [line.partition(" (")[0] for line in found.failures] == ["dark.png", "none.png"]
    write_files(tmp_path, found)
    page = (tmp_path / "visibility.html").read_text(encoding="utf-8")
    assert page.count("CVVDP not installed · FLIP not installed") == 2
    assert "pip install cvvdp flip-evaluator" in page and "too dark" in page


def test_pictures_of_one_name_do_not_take_each_others_place(tmp_path: Path) -> None:
    for part in ("a", "b"):
        (tmp_path / "in" / part).mkdir(parents=True)
        photos_in(tmp_path / "in" / part, 1, side=64)
    found = look_at_all(Options("", ImageSet.of([str(tmp_path / "in")]), workers=1), Brightener, tmp_path)
    assert len({marked_path(look) for look in found.looks}) == 2
    assert all((tmp_path / marked_path(look)).is_file() for look in found.looks)
