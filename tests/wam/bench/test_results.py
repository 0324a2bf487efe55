"""results.jsonl: kept at once, read again, and never mistaken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from wam.bench.results import Key, Result, ResultsFile
from wam.errors import WamError


def result(row: str, error: str | None = None) -> Result:
    key = Key("model@1", None, "abcd", 0, "a.png", row)
    return Result(key, "none", 0, {} if error else {"psnr_db": 42.0}, None, error)


def test_results_come_back(tmp_path: Path) -> None:
    ResultsFile(tmp_path).add([result("identity"), result("jpeg=80")])
    again = ResultsFile(tmp_path)
    assert again.kept == 2
    assert again.known[result("jpeg=80").key] == result("jpeg=80")


def test_errors_are_tried_again(tmp_path: Path) -> None:
    ResultsFile(tmp_path).add([result("identity"), result("jpeg=80", "out of luck")])
    assert list(ResultsFile(tmp_path).known) == [result("identity").key]


def test_a_line_that_was_cut_off_is_dropped(tmp_path: Path) -> None:
    ResultsFile(tmp_path).add([result("identity"), result("jpeg=80")])
    path = tmp_path / "results.jsonl"
    path.write_text(path.read_text()[:-20])
    assert list(ResultsFile(tmp_path).known) == [result("identity").key]
    ResultsFile(tmp_path).add([result("jpeg=80")])
    assert len(ResultsFile(tmp_path).known) == 2


def test_results_of_a_file_that_marks_and_reads_the_same_go_on_under_the_new_name(tmp_path: Path) -> None:
    ResultsFile(tmp_path).add([result("identity"), result("jpeg=80")])
    for _ in range(2):  # the second time they are of that name already
        known = ResultsFile(tmp_path, names={"model@1": "model@2", "other@1": "other@2"}).known
        assert {(key.contender, key.row) for key in known} == {("model@2", "identity"), ("model@2", "jpeg=80")}
        assert all(found.key == key for key, found in known.items())
    assert {key.contender for key in ResultsFile(tmp_path).known} == {"model@2"}


def test_what_was_measured_under_the_new_name_counts(tmp_path: Path) -> None:
    older = result("identity")
    newer = replace(older, key=older.key._replace(contender="model@2"), values={"psnr_db": 43.0})
    for order in ([older, newer], [newer, older]):
        (tmp_path / "results.jsonl").unlink(missing_ok=True)
        ResultsFile(tmp_path).add(order)
        assert ResultsFile(tmp_path, names={"model@1": "model@2"}).known == {newer.key: newer}


@pytest.mark.parametrize("content", ['{"mine": 1}\n', '{"mine": 1}\n{"mine": 2}\n', "mine\nmine\n"])
def test_another_file_of_that_name_is_refused_and_left_alone(tmp_path: Path, content: str) -> None:
    path = tmp_path / "results.jsonl"
    path.write_text(content)
    with pytest.raises(WamError, match="found others in line 1; choose another --out"):
        ResultsFile(tmp_path)
    assert path.read_text() == content


def test_without_a_folder_nothing_is_written() -> None:
    file = ResultsFile(None)
    file.add([result("identity")])
    assert file.path is None and list(file.known) == [result("identity").key]
