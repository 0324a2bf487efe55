"""results.jsonl: kept at once, read again, and never mistaken."""

from __future__ import annotations

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


def test_what_need_not_be_kept_is_measured_again(tmp_path: Path) -> None:
    ResultsFile(tmp_path).add([result("identity"), result("jpeg=80")])
    again = ResultsFile(tmp_path, keep=lambda each: each.key.row != "identity")
    assert list(again.known) == [result("jpeg=80").key] and again.kept == 1
    assert len(ResultsFile(tmp_path).known) == 1  # nor is it in the file any more
