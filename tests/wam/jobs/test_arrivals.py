"""Which pictures of a watched folder are there whole, and whose fault it is when one cannot be used."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import pytest

from payload.errors import RecordTooLongError, RegistryError
from wam.errors import ImageError, WamError
from wam.jobs.arrivals import WHY, Arrivals, is_its_own, move
from wam.jobs.link_mode import ConfirmError
from wam.jobs.plan import Source

SETTLE, PATIENCE = 5.0, 60.0


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Watched:
    folder: Path
    clock: Clock = field(default_factory=Clock)
    known: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.folder.mkdir()
        self.arrivals = Arrivals(
            self.folder, lambda source, state: source.name in self.known, without=[self.folder / "failed"],
            settle=SETTLE, patience=PATIENCE, clock=self.clock,
        )  # fmt: skip

    def write(self, name: str, content: bytes = b"picture") -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    def after(self, seconds: float) -> list[str]:
        self.clock.now += seconds
        return [source.name for source in self.arrivals.look()]

    def source(self, name: str) -> Source:
        return Source(self.folder / name, name)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "in")


def test_a_file_that_grows_is_not_taken_before_it_stays_the_same(watched: Watched) -> None:
    for size in range(1, 5):
        watched.write("a.png", b"x" * size)
        assert watched.after(SETTLE - 1) == []
    assert watched.after(SETTLE - 1) == []
    assert watched.after(1) == ["a.png"]


def test_a_file_is_taken_once_and_again_when_it_changes(watched: Watched) -> None:
    watched.write("b/a.png")
    assert watched.after(0) == [] and watched.after(SETTLE) == ["b/a.png"]
    assert watched.after(1) == ["b/a.png"]  # nobody has taken care of it
    watched.arrivals.finish(watched.source("b/a.png"))
    assert watched.after(100) == [] and watched.arrivals.waiting == 0
    watched.write("b/a.png", b"another picture")
    assert watched.after(1) == [] and watched.after(SETTLE) == ["b/a.png"]


def test_a_file_that_changed_while_it_was_worked_on_has_arrived_anew(watched: Watched) -> None:
    watched.write("a.png")
    assert watched.after(0) == [] and watched.after(SETTLE) == ["a.png"]
    watched.write("a.png", b"more of the picture")
    watched.arrivals.finish(watched.source("a.png"))
    assert watched.after(1) == [] and watched.after(SETTLE) == ["a.png"]


def test_what_is_hidden_in_another_folder_or_no_picture_is_left_out(watched: Watched) -> None:
    for name in ("failed/a.png", ".a.png", "a.png.part", "a.txt", ".b/a.png", "c.PNG"):
        watched.write(name)
    watched.after(0)
    assert watched.after(SETTLE) == ["c.PNG"]


def test_what_an_earlier_run_has_done_is_not_taken_unless_it_changed(watched: Watched) -> None:
    watched.known.add("a.png")
    watched.write("a.png")
    watched.write("b.png")
    watched.after(0)
    assert watched.after(SETTLE) == ["b.png"]
    watched.write("a.png", b"another")
    watched.after(0)
    assert watched.after(SETTLE) == ["a.png", "b.png"]


def test_a_damaged_file_has_a_second_turn_when_it_may_be_whole(watched: Watched) -> None:
    watched.write("a.png")
    watched.after(0)
    assert watched.after(SETTLE) == ["a.png"]
    source = watched.source("a.png")
    assert watched.arrivals.may_change(source)
    assert watched.after(SETTLE) == [] and watched.after(PATIENCE) == ["a.png"]
    assert not watched.arrivals.may_change(source)
    watched.write("a.png", b"the rest of it")
    assert watched.arrivals.may_change(source)


def test_what_waits_for_something_else_has_a_turn_at_growing_pauses(watched: Watched) -> None:
    watched.write("a.png")
    watched.after(0)
    turns = []
    for _ in range(400):
        if watched.after(1):
            turns.append(watched.clock.now)
            assert watched.arrivals.stuck == (len(turns) > 3)
            watched.arrivals.put_off(watched.source("a.png"))
    pauses = [later - earlier for earlier, later in pairwise(turns)]
    assert pauses[:4] == [2, 4, 8, 16] and max(pauses) == 60


def test_a_folder_that_is_away_is_an_error_and_forgets_nothing(watched: Watched) -> None:
    watched.write("a.png")
    watched.after(0)
    assert watched.after(SETTLE) == ["a.png"]
    watched.arrivals.finish(watched.source("a.png"))
    away = watched.folder.rename(watched.folder.with_name("away"))
    with pytest.raises(OSError):
        watched.after(1)
    away.rename(watched.folder)
    assert watched.after(100) == []


def chained(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


def test_whose_fault_it_is() -> None:
    source = Source(Path("in/a.png"), "a.png")
    about = ImageError.about("in/a.png", expected="a PNG", found="a text", remedy="convert it")
    assert is_its_own(about, source) and is_its_own(ValueError("asset: expected one"), source)
    assert is_its_own(RecordTooLongError("no room"), source) and is_its_own(MemoryError(), source)
    assert is_its_own(chained(ImageError("in/a.png: x"), OSError("image file is truncated")), source)
    for error in (
        RegistryError("does not answer"), ConfirmError("in/a.png: x"), OSError(28, "full"), ImageError("out/a.png: x"),
        chained(ImageError("in/a.png: x"), PermissionError(13, "Permission denied")),
    ):  # fmt: skip
        assert not is_its_own(error, source), error


def test_a_file_is_moved_with_the_reason_and_takes_no_other_s_place(tmp_path: Path) -> None:
    for number in range(3):
        place = tmp_path / "in" / "b" / "a.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(str(number))
        move(Source(place, "b/a.png"), tmp_path / "failed", why=f"reason {number}")
        assert not place.exists()
    found = {path.name: path.read_text() for path in (tmp_path / "failed" / "b").iterdir()}
    assert found == {
        "a.png": "0", "a.1.png": "1", "a.2.png": "2", f"a.png{WHY}": "reason 0\n", f"a.1.png{WHY}": "reason 1\n",
        f"a.2.png{WHY}": "reason 2\n",
    }  # fmt: skip


def test_what_cannot_be_moved_stays_and_is_said(tmp_path: Path) -> None:
    place = tmp_path / "a.png"
    place.write_text("x")
    (tmp_path / "failed").write_text("no folder")
    with pytest.raises(WamError, match=r"a\.png: expected to move it to .*failed, found: .*; it stays where it is"):
        move(Source(place, "a.png"), tmp_path / "failed")
    assert place.read_text() == "x"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs another drive")
def test_a_file_is_moved_to_another_drive_whole(tmp_path: Path) -> None:
    if os.stat("/dev/shm").st_dev == os.stat(tmp_path).st_dev:
        pytest.skip("needs another drive")
    folder = Path("/dev/shm") / f"wam-test-{os.getpid()}"
    place = tmp_path / "a.png"
    place.write_text("x")
    try:
        assert move(Source(place, "a.png"), folder).read_text() == "x" and not place.exists()
    finally:
        (folder / "a.png").unlink()
        folder.rmdir()
