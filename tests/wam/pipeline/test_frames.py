"""Animations and labels through the jobs: all frames marked with one id, read back together, and the label compared."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from payload import Record
from payload.registry import Registry
from tests.wam.pipeline.one_file import EmbedJob, embed_file
from tests.wam.synthetic import smooth_picture
from wam.errors import ImageError
from wam.pictures.animation import read_animation
from wam.pictures.files import read_image
from wam.pipeline.frames import telling_frame, to_read
from wam.pipeline.read import Findings
from wam.pipeline.read import read as pipeline_read
from wam.pipeline.registered_words import RegisteredWords
from wam.provenance.aigc_label import read_label
from wam.watermarker import Watermarker

RECORD = Record("123", "acme", None, datetime(2026, 11, 22, 9, 30, tzinfo=UTC))


@pytest.fixture
def job(light: Watermarker, tmp_path: Path) -> EmbedJob:
    return EmbedJob(light, Registry.open(str(tmp_path / "registry.sqlite")), 34.0, frames=True, label=True)


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    """A GIF that starts with a faint frame."""
    frames = [Image.fromarray(smooth_picture() // 2 + 40), Image.fromarray(smooth_picture())]
    frames[0].save(tmp_path / "in.gif", save_all=True, append_images=frames[1:], duration=[500, 100], loop=0)
    return tmp_path / "in.gif"


def read(job: EmbedJob, path: Path, *, frames: bool = True) -> Findings:
    return pipeline_read(
        job.marker, path.read_bytes(), name=str(path), words=RegisteredWords(job.registry), frames=frames
    )


@pytest.mark.parametrize("suffix", [pytest.param(".gif", marks=pytest.mark.slow), ".webp"])
def test_an_animation_gets_one_id(job: EmbedJob, moving: Path, tmp_path: Path, suffix: str) -> None:
    result = embed_file(job, moving, tmp_path / f"out{suffix}", RECORD).to_dict()
    assert (result["frames"], result["labelled"]) == (2, suffix == ".webp")
    animation = read_animation(tmp_path / f"out{suffix}")
    assert animation.durations == (500, 100)
    for picture, before in zip(animation.pictures, read_animation(moving).pictures, strict=True):
        assert (picture.pixels != before.pixels).any()
    outcome = read(job, tmp_path / f"out{suffix}")
    assert [reading.link for reading in outcome.readings] == [result["link"]]
    assert not outcome.readings[0].transplanted


def test_an_animation_is_known_by_a_frame_with_something_in_it(moving: Path) -> None:
    animation = read_animation(moving)
    assert telling_frame(animation) is animation.pictures[1]
    assert to_read(animation) == animation.pictures[::-1]


def test_animations_are_refused_unless_asked_for(job: EmbedJob, moving: Path, tmp_path: Path) -> None:
    still = EmbedJob(job.marker, job.registry, 38.0)
    with pytest.raises(ImageError, match="use --all-frames"):
        embed_file(still, moving, tmp_path / "out.gif", RECORD)
    with pytest.raises(ImageError, match="use --all-frames"):
        read(job, moving, frames=False)
    assert list(job.registry.list()) == []


def test_a_still_picture_is_the_same_with_frames(job: EmbedJob, tmp_path: Path) -> None:
    Image.fromarray(smooth_picture()).save(tmp_path / "in.png")
    result = embed_file(job, tmp_path / "in.png", tmp_path / "out.png", RECORD).to_dict()
    assert (result["frames"], result["lost"], result["labelled"]) == (1, [], True)


def labelled(job: EmbedJob, tmp_path: Path, name: str = "out.png") -> Path:
    Image.fromarray(smooth_picture()).save(tmp_path / "in.png")
    embed_file(job, tmp_path / "in.png", tmp_path / name, RECORD)
    return tmp_path / name


def test_the_label_agrees_with_the_watermark(job: EmbedJob, tmp_path: Path) -> None:
    outcome = read(job, labelled(job, tmp_path))
    assert outcome.label is not None
    assert (outcome.label.producer, outcome.label.produce_id) == ("acme", outcome.readings[0].link)
    assert outcome.label_agrees is True


def test_a_label_on_another_picture_is_found_out(job: EmbedJob, tmp_path: Path) -> None:
    xmp = read_image(labelled(job, tmp_path)).metadata.xmp
    other = read_image(labelled(replace(job, new_link=True), tmp_path, "second.png"))
    Image.fromarray(other.pixels).save(tmp_path / "swapped.jpg", xmp=xmp, quality=95)
    outcome = read(job, tmp_path / "swapped.jpg")
    assert len(outcome.readings) == 1 and outcome.label_agrees is False


def test_there_is_no_label_unless_asked_for(job: EmbedJob, tmp_path: Path) -> None:
    path = labelled(EmbedJob(job.marker, job.registry, 38.0), tmp_path)
    assert read_label(read_image(path).metadata) is None
    outcome = read(job, path)
    assert (outcome.label, outcome.label_agrees) == (None, None)


def test_notes_say_what_a_person_should_know(job: EmbedJob, tmp_path: Path) -> None:
    Image.fromarray(smooth_picture()).save(tmp_path / "jpeg.png", "JPEG", quality=95)
    notes = embed_file(job, tmp_path / "jpeg.png", tmp_path / "2.png", RECORD).report.notes
    assert "named as PNG, holds JPEG, written as PNG" in notes
    assert np.asarray(Image.open(tmp_path / "2.png")).shape == (128, 128, 3)
