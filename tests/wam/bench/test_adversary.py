"""What an adversary reaches against a model, and at what price."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from attacks.suites import missing_packages
from tests.wam.bench.doubles import Brightener, light_contender, photos_in, plan_of
from wam.bench.adversary_lines import ADVERSARY_LEGEND, AdversaryLine, adversary_lines, adversary_table, price_of
from wam.bench.contenders import build_marker
from wam.bench.photos import ImageSet
from wam.bench.report import Report, markdown
from wam.bench.report_page import page
from wam.bench.results import ResultsFile
from wam.bench.rows import choose_rows
from wam.bench.runner import run_plan
from wam.bench.session import Options, make_facts, make_plan
from wam.bench.summary import failures, group_lines, null_lines, results_of, row_lines
from wam.bench.view import Price
from wam.bench.views import Stage
from wam.bench.words import WordBook
from wam.packages import DISTRIBUTIONS


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    return photos_in(tmp_path_factory.mktemp("adversary") / "photos", 2, side=192)


def lines_of(images: ImageSet, rows: str, *, build=light_contender, limit: int = 1) -> dict[str, AdversaryLine]:
    file = ResultsFile(None)
    plan = plan_of(images, rows, build=build, limit=limit)
    run_plan(plan, file)
    results = results_of(plan, file)
    assert not failures(results)
    return {line.row: line for line in adversary_lines(results)}


def test_the_suite_is_public_keyed_and_plain() -> None:
    names = [row.name for row in choose_rows("adversary")]
    assert {"adversary+fold=40", "adversary_keyed+fold=40", "adversary+copy=40", "adversary+phone_photo"} <= set(names)
    assert len(names) == len(set(names))
    assert [row.name for row in choose_rows(",".join(names))] == names
    assert {row.group for row in choose_rows("adversary")} == {"adversary"}
    assert not any(row.foe for row in choose_rows("all"))


def test_marks_are_removed_and_forged_public_and_keyed(images: ImageSet) -> None:
    rows = "fold_fitted,adversary_keyed+fold_fitted,adversary+copy=36,adversary_keyed+copy=36,adversary+fold=32"
    lines = lines_of(images, f"adversary+{rows}")
    too_much = lines.pop("adversary+fold=32")  # its negative is read
    assert (too_much.done, too_much.psnr_db) == (0, pytest.approx(32, abs=0.2))
    for line in lines.values():
        assert (line.photos, line.done, line.failed) == (1, 1, 0)
        assert line.aim == ("forge" if "copy" in line.row else "remove")
        assert line.psnr_db is not None and (abs(line.psnr_db - 36) < 0.2 if "copy" in line.row else line.psnr_db > 34)
        assert line.silent == (None if "copy" in line.row else 1)
        assert line.ssim is not None and line.ssim < 1


def test_what_hardly_touches_a_picture_removes_nothing(images: ImageSet) -> None:
    lines = lines_of(images, "adversary+fold=56,adversary+jpeg=90,adversary+rotate=10,adversary+resize=0.8", limit=2)
    assert [line.done for line in lines.values()] == [0, 0, 0, 0]
    assert all(line.photos == 2 and 0.8 < line.high < 0.9 for line in lines.values())  # 0 of 2: up to 84%
    assert lines["adversary+rotate=10"].psnr_db is None
    assert lines["adversary+resize=0.8"].psnr_db is not None


def test_several_pictures_carry_one_word_and_none_is_the_attacked_one(images: ImageSet) -> None:
    stage = Stage(images, Brightener(), WordBook.of(0), seed=0, strength=None)
    row = choose_rows("adversary+transfer")[0]
    found = stage.view(row, 1)
    assert found.words == (stage.book.word(1),)
    assert found.price is not None and torch.equal(found.price.reference, images.photo(0))
    moved = stage.marked(1) - images.photo(1) + images.photo(0)
    assert torch.allclose(found.image, moved.clamp(0, 1), atol=1e-6)
    assert lines_of(images, "adversary+fold_10=32,adversary+copy_10=36")["adversary+copy_10=36"].done == 1


def test_a_method_is_asked_for_what_it_has_only(images: ImageSet) -> None:
    rows = "adversary+fold=40,adversary+gradient=40,adversary+oracle=10,adversary+transfer,adversary+jpeg=50"
    assert set(lines_of(images, rows, build=Brightener)) == {"adversary+transfer", "adversary+jpeg=50"}


def test_queries_are_counted(images: ImageSet) -> None:
    line = lines_of(images, "adversary+oracle=12")["adversary+oracle=12"]
    assert line.photos == 1 and line.queries is not None and 2 <= line.queries <= 12


def test_the_shipped_checkpoint_loses_its_mark_to_the_extractor_it_ships_with(images: ImageSet) -> None:
    build = partial(build_marker, "lattice32", "cpu")
    lines = lines_of(images, "adversary+gradient=36,adversary+gradient_fitted=36,adversary+overmark", build=build)
    assert lines["adversary+gradient=36"].done == 0  # what it leaves is the negative
    assert lines["adversary+gradient_fitted=36"].done == 1
    assert lines["adversary+overmark"].done == 0


def test_the_price_of_what_is_the_same_is_nothing(images: ImageSet) -> None:
    photo = images.photo(0)
    found = price_of(photo, Price("remove", photo, 3, 0.5))
    assert found["psnr_db"] is None and found["ssim"] == pytest.approx(1) and found["queries"] == 3
    assert "psnr_db" not in price_of(photo, Price("remove", None, 0, 0.5))


def test_reports_show_adversaries_apart_from_the_protocol(images: ImageSet) -> None:
    file = ResultsFile(None)
    plan = plan_of(images, "identity,adversary+jpeg=90", build=light_contender, limit=1)
    run_plan(plan, file)
    results = results_of(plan, file)
    rows = row_lines(results)
    assert [line.row for line in rows] == ["identity"]
    facts = {name: "-" for name in ("command", "models", "images", "device")}
    report = Report(facts, group_lines(rows), rows, null_lines(results), [], [], adversaries=adversary_lines(results))
    text = markdown(report)
    assert ADVERSARY_LEGEND in text and "| adversary+jpeg=90 | remove | 0 of 1 | 0% to 98% |" in text
    assert "adversary+jpeg=90" in page(report, {})
    heads, cells = adversary_table(report.adversaries)
    assert all(len(row) == len(heads) for row in cells)


def test_packages_that_are_missing_are_named(images: ImageSet) -> None:
    missing = missing_packages()
    options = Options("adversary+jpeg=50", images=images)
    facts = make_facts(options, make_plan(options, Brightener))
    assert ("adversary" in facts) == bool(missing)
    assert all(DISTRIBUTIONS[module] in facts["adversary"] for module in missing)
    without = Options("jpeg=50", images=images)
    assert "adversary" not in make_facts(without, make_plan(without, Brightener))
