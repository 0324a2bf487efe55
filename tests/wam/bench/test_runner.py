"""Running a plan: what goes wrong stays in its row, what was done is not done again."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import torch

from tests.wam.bench.doubles import Brightener, light_contender, photos_in, plan_of
from wam.bench.contenders import build_marker
from wam.bench.photos import ImageSet
from wam.bench.results import Result, ResultsFile
from wam.bench.runner import Workbench, run_plan, usual_workers
from wam.bench.summary import failures, results_of


@pytest.fixture
def images(tmp_path: Path) -> ImageSet:
    return photos_in(tmp_path / "photos", 2)


def by_row(results: list[Result]) -> dict[str, Result]:
    return {result.key.row: result for result in results}


def test_marks_are_read_and_quality_is_measured(images: ImageSet) -> None:
    file = ResultsFile(None)
    plan = plan_of(images, "identity,multi=2,unmarked,wrong_key", build=light_contender, limit=1)
    run_plan(plan, file)
    rows = by_row(results_of(plan, file))
    assert rows["identity"].values["marks"][0]["record"]
    assert rows["identity"].values["marks"][0]["iou"] > 0.9
    assert len(rows["multi=2"].values["marks"]) == 2
    assert rows["unmarked"].values["detections"] == rows["wrong_key"].values["detections"] == 0
    assert rows["quality"].values["psnr_db"] == pytest.approx(43, abs=3)
    assert not failures(list(rows.values()))


def test_a_failing_row_leaves_the_others_alone(images: ImageSet) -> None:
    file = ResultsFile(None)
    plan = plan_of(images, "identity,wrong_key", limit=1)  # the double refuses to read with another key
    run_plan(plan, file)
    rows = by_row(results_of(plan, file))
    assert rows["identity"].error is None
    assert rows["wrong_key"].error == "the other key was asked for"
    assert failures(list(rows.values())) == ["0.png (wrong_key): the other key was asked for"]


def test_an_unreadable_photo_is_named_once_and_the_others_go_on(tmp_path: Path, images: ImageSet) -> None:
    (tmp_path / "photos" / "0.png").write_bytes(b"no picture")
    images = ImageSet.of([str(tmp_path / "photos")])
    file = ResultsFile(None)
    plan = plan_of(images, "identity,hflip")
    run_plan(plan, file)
    results = results_of(plan, file)
    assert [result.key.photo for result in results if result.error is None] == ["1.png"] * 3
    (line,) = failures(results)
    assert line.startswith("0.png (3 rows): ") and "expected" in line


def test_a_second_run_goes_on_from_the_first(tmp_path: Path, images: ImageSet) -> None:
    counts: list[int] = []
    for rows in ("identity", "identity,hflip", "identity,hflip"):
        run_plan(plan_of(images, rows), ResultsFile(tmp_path), report=lambda done, total: counts.append(total))
    assert [counts[0], counts[-3], counts[-1]] == [4, 2, 0]


def test_an_interrupted_run_keeps_what_was_done(tmp_path: Path, images: ImageSet) -> None:
    def stop(done: int, total: int) -> None:
        if done:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan_of(images, "identity,hflip"), ResultsFile(tmp_path), report=stop)
    assert 0 < ResultsFile(tmp_path).kept < 6


def test_results_do_not_depend_on_which_rows_are_asked_for(images: ImageSet) -> None:
    def read(rows: str) -> list[torch.Tensor]:
        bench = Workbench(plan_of(images, rows, limit=1))
        for task in bench.plan.tasks(set(), workers=1):
            bench.run(task)
        contender = bench.contender(0)
        assert isinstance(contender, Brightener)
        return contender.read_images

    (alone,) = read("crop=0.5")
    among = read("identity,hflip,jpeg=50,crop=0.5")
    assert [torch.equal(alone, image) for image in among].count(True) == 1


class CountsThreads(Brightener):
    """Notes how many threads there are when it marks."""

    def __init__(self, seen: list[int]) -> None:
        super().__init__()
        self.seen = seen

    def embed(self, photo: torch.Tensor, bits: str, *, strength: float | None) -> torch.Tensor:
        self.seen.append(torch.get_num_threads())
        return super().embed(photo, bits, strength=strength)


def test_the_number_of_threads_is_the_program_s(images: ImageSet) -> None:
    seen: list[int] = []
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        run_plan(plan_of(images, "identity", build=partial(CountsThreads, seen), limit=1), ResultsFile(None))
        assert set(seen) == {3} == {torch.get_num_threads()}
    finally:
        torch.set_num_threads(before)


def test_a_gpu_has_one_worker() -> None:
    assert usual_workers("cuda") == 1


@pytest.mark.slow
def test_several_processes_give_the_same_results(images: ImageSet) -> None:
    plan = plan_of(images, "identity,jpeg=50,rotate=10", build=partial(build_marker, "lattice32", "cpu"))
    alone, together = ResultsFile(None), ResultsFile(None)
    run_plan(plan, alone, workers=1)
    run_plan(plan, together, workers=2)
    values = [[result.values for result in results_of(plan, file)] for file in (alone, together)]
    assert values[0] == values[1] and len(values[0]) == 8
