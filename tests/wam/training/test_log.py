"""The log of training: rows, and logs of older versions."""

from __future__ import annotations

import math
from pathlib import Path

from wam.training.log import COLUMNS, Window, read_rows, write_row


def test_a_window_is_means_and_what_was_left_out() -> None:
    window = Window()
    for correlation, taken in ((0.2, True), (math.nan, False), (0.4, True)):
        window.add({"correlation": correlation}, taken=taken)
    row = window.row(batch=4)
    assert row["correlation"] == 0.3 and row["left_out"] == 1 and row["pictures_per_s"] > 0


def test_rows_are_appended_below_one_header(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    write_row(log, {"step": 50, "left_out": 3})
    write_row(log, {"step": 100})
    assert [(row["step"], row["left_out"], row["val_mask"]) for row in read_rows(log)] == [
        ("50", "3", ""),
        ("100", "", ""),
    ]


def test_a_log_of_an_older_version_gets_the_new_columns(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("step,minutes,val_mask\n50,1.5,0.6\n")
    write_row(log, {"step": 100, "left_out": 2, "val_mask": 0.5})
    first, second = read_rows(log)
    assert list(first) == COLUMNS
    assert (first["step"], first["left_out"], first["val_mask"]) == ("50", "", "0.6")
    assert (second["step"], second["left_out"], second["val_mask"]) == ("100", "2", "0.5")


def test_a_row_that_a_crash_cut_off_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    for step in (50, 100):
        write_row(log, {"step": step, "val_accuracy": 0.875})
    log.write_bytes(log.read_bytes()[:-8])
    write_row(log, {"step": 150})
    assert [row["step"] for row in read_rows(log)] == ["50", "150"]
    assert log.read_bytes().count(b"\r\n") == 3  # header and two rows, ended as csv ends them
