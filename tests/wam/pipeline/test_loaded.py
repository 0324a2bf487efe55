"""Jobs on files: ids that are kept only when a mark is, and records found again from the marks."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import wam
from payload import Record, bits_from_word, hash_luma
from payload.registry import Registry
from tests.wam.pipeline.one_file import EmbedJob, detect_file, embed_file
from tests.wam.synthetic import smooth_picture, varied_picture
from wam.errors import ImageError
from wam.jobs.engines import local
from wam.pictures.files import read_image
from wam.watermarker import Marked, Watermarker

RECORD = Record("123", "acme", None, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return Registry.open(str(tmp_path / "registry.sqlite"))


@pytest.fixture
def job(light: Watermarker, registry: Registry) -> EmbedJob:
    return EmbedJob(light, registry, 42.0)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "in.png"
    Image.fromarray(smooth_picture()).save(path)
    return path


def states(registry: Registry) -> list[str]:
    return [entry.state for entry in registry.list()]


def test_a_marked_file_is_registered(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    result = embed_file(job, source, tmp_path / "out.png", RECORD)
    (entry,) = job.registry.list()
    assert (entry.word,) == result.report.words
    assert (entry.state, entry.record, entry.output) == ("marked", RECORD, str(tmp_path / "out.png"))
    assert entry.phash is not None
    assert result.to_dict()["link"] == entry.link
    assert result.to_dict()["messages"] == [bits_from_word(entry.word)]


def test_quality_is_measured_on_the_saved_file(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    result = embed_file(job, source, tmp_path / "out.jpg", RECORD)
    before, after = np.asarray(Image.open(source), float), np.asarray(Image.open(tmp_path / "out.jpg"), float)
    assert result.report.psnr_db == pytest.approx(10 * np.log10(255**2 / ((before - after) ** 2).mean()), abs=1e-3)
    assert 0.8 < result.report.ssim < 1


def test_the_record_is_found_again(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    result = embed_file(job, source, tmp_path / "out.png", RECORD)
    picture, (reading,) = detect_file(job.marker, tmp_path / "out.png", job.registry)
    assert (picture.width, picture.height) == (128, 128)
    assert reading.match.status == "verified"
    assert reading.entry is not None and reading.entry.record == RECORD
    assert reading.link == result.report.link
    assert not reading.transplanted


def test_each_picture_gets_an_id_of_its_own(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    records = [replace(RECORD, asset=str(n)) for n in range(3)]
    links = [embed_file(job, source, tmp_path / f"{n}.png", records[n]).report.link for n in range(3)]
    assert len(set(links)) == 3
    found = [detect_file(job.marker, tmp_path / f"{n}.png", job.registry)[1][0].link for n in range(3)]
    assert found == links


def test_without_a_registry_a_mark_is_unregistered(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    result = embed_file(job, source, tmp_path / "out.png", RECORD)
    _, (reading,) = detect_file(job.marker, tmp_path / "out.png", None)
    assert (reading.match.status, reading.entry, reading.link) == ("unregistered", None, result.report.link)


def test_a_mark_of_another_registry_is_unregistered(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    embed_file(job, source, tmp_path / "out.png", RECORD)
    other = Registry.open(str(tmp_path / "other.sqlite"))
    other.allocate(RECORD)
    _, (reading,) = detect_file(job.marker, tmp_path / "out.png", other)
    assert (reading.match.status, reading.entry) == ("unregistered", None)


def test_a_withdrawn_record_is_not_named(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    result = embed_file(job, source, tmp_path / "out.png", RECORD)
    job.registry.withdraw(result.report.link)
    _, (reading,) = detect_file(job.marker, tmp_path / "out.png", job.registry)
    assert (reading.status, reading.entry, reading.record) == ("withdrawn", None, None)
    assert reading.link == result.report.link


def test_an_unmarked_file_has_no_readings(job: EmbedJob, source: Path) -> None:
    assert detect_file(job.marker, source, job.registry)[1] == []


@pytest.mark.parametrize(("draw", "expected"), [(varied_picture, "other"), (smooth_picture, "unbound")])
def test_a_mark_moved_to_another_picture_is_said_where_pictures_show_enough(
    job: EmbedJob, tmp_path: Path, draw: Callable[..., np.ndarray], expected: str
) -> None:
    """Of two slopes the mark itself would decide the hashes, which would take one for the other with some words."""
    Image.fromarray(draw()).save(tmp_path / "in.png")
    embed_file(job, tmp_path / "in.png", tmp_path / "out.png", RECORD)
    residual = np.asarray(Image.open(tmp_path / "out.png"), int) - np.asarray(Image.open(tmp_path / "in.png"), int)
    other = draw(seed=4)[::-1].astype(int) // 2 + 60
    other[40:90, 30:100] += 50
    Image.fromarray((other + residual).clip(0, 255).astype(np.uint8)).save(tmp_path / "moved.png")
    _, (reading,) = detect_file(job.marker, tmp_path / "moved.png", job.registry)
    assert (reading.match.status, reading.binding) == ("verified", expected)
    assert reading.transplanted == (expected == "other")


def test_the_picture_hash_is_the_one_of_the_saved_file(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    result = embed_file(job, source, tmp_path / "out.png", RECORD)
    luma = read_image(tmp_path / "out.png").pixels @ np.array([0.299, 0.587, 0.114])
    assert result.report.phash == hash_luma(luma)


class Careless(Watermarker):
    """Gives pictures back as they were."""

    def embed(self, image: np.ndarray, bits: str, *, strength: float = 42.0) -> Marked:  # type: ignore[override]
        return Marked(image, 99.0)


def test_a_failed_self_check_discards_the_id_and_writes_nothing(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    careless = Careless(job.marker.model)
    with pytest.raises(ImageError, match=r"in\.png: expected the self-check .*found no watermark.*nothing was written"):
        embed_file(EmbedJob(careless, job.registry, 42.0), source, tmp_path / "out.png", RECORD)
    assert states(job.registry) == ["discarded"]
    assert not (tmp_path / "out.png").exists()


class Forgetful(Watermarker):
    """Writes three wrong bits."""

    def embed(self, image: np.ndarray, bits: str, *, strength: float = 42.0) -> Marked:  # type: ignore[override]
        wrong = "".join("10"[int(bit)] for bit in bits[:8]) + bits[8:]
        return super().embed(image, wrong, strength=strength)


def test_a_mark_that_reads_wrong_is_not_kept(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    forgetful = Forgetful(job.marker.model)
    with pytest.raises(ImageError, match="found 8 of 32 bits wrong"):
        embed_file(EmbedJob(forgetful, job.registry, 42.0), source, tmp_path / "out.png", RECORD)
    assert states(job.registry) == ["discarded"]


def test_a_failed_write_discards_the_id(
    job: EmbedJob, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(local, "write_marked", fail)
    with pytest.raises(OSError, match="disk full"):
        embed_file(job, source, tmp_path / "out.png", RECORD)
    assert states(job.registry) == ["discarded"]


def test_an_interruption_while_marking_discards_the_id(
    job: EmbedJob, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watermarker, "embed", interrupt)
    with pytest.raises(KeyboardInterrupt):
        embed_file(job, source, tmp_path / "out.png", RECORD)
    assert states(job.registry) == ["discarded"]


def test_a_folder_that_is_not_there_discards_the_id(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="No such file or directory"):
        embed_file(job, source, tmp_path / "none" / "out.png", RECORD)
    assert states(job.registry) == ["discarded"]


def test_an_output_nobody_can_read_costs_no_id(job: EmbedJob, source: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"expected an output name ending in \.png"):
        embed_file(job, source, tmp_path / "out.xyz", RECORD)
    assert states(job.registry) == []


def test_an_output_without_an_extension_has_the_format_of_the_input(
    job: EmbedJob, source: Path, tmp_path: Path
) -> None:
    embed_file(job, source, tmp_path / "out", RECORD)
    assert read_image(tmp_path / "out").format == "PNG"


def test_too_small_a_picture_costs_no_id(job: EmbedJob, tmp_path: Path) -> None:
    Image.new("RGB", (200, 31)).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match="expected a picture of at least 32x32 pixels, found 200x31"):
        embed_file(job, tmp_path / "small.png", tmp_path / "out.png", RECORD)
    assert states(job.registry) == []


def test_lost_parts_are_said(job: EmbedJob, tmp_path: Path) -> None:
    Image.fromarray(smooth_picture()).quantize(200).save(tmp_path / "palette.png")
    assert embed_file(job, tmp_path / "palette.png", tmp_path / "out.png", RECORD).report.lost == ("palette",)


EMBED_THREE = """
import sys
from pathlib import Path
from payload import Record
from payload.registry import Registry
from tests.wam.synthetic import handmade_marker
from tests.wam.pipeline.one_file import EmbedJob, embed_file
source, registry, prefix = Path(sys.argv[1]), Registry.open(sys.argv[2]), sys.argv[3]
job = EmbedJob(handmade_marker(), registry, 42.0)
for n in range(3):
    print(embed_file(job, source, source.with_name(f"{prefix}{n}.png"), Record(prefix, "acme")).report.link)
"""


@pytest.mark.slow  # the registry has its own quick test of this
def test_two_processes_at_once_get_different_ids(source: Path, registry: Registry) -> None:
    command = [sys.executable, "-c", EMBED_THREE, str(source), registry.name]
    root = Path(wam.__file__).parents[1]
    running = [
        subprocess.Popen([*command, prefix], cwd=root, stdout=subprocess.PIPE, text=True) for prefix in ("a", "b")
    ]
    links = [process.communicate(timeout=120)[0].split() for process in running]
    assert [process.returncode for process in running] == [0, 0]
    assert len(set(links[0] + links[1])) == 6
    assert {entry.link for entry in registry.list(state="marked")} == set(links[0] + links[1])
