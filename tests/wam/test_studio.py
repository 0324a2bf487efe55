"""``Studio``: the whole job from Python, by what a program gives and gets."""

from __future__ import annotations

import asyncio
import dataclasses
import io
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wam
from payload import PayloadError, Record, RecordTooLongError
from payload.registry import Registry
from tests.wam.synthetic import handmade_marker, smooth_picture, varied_picture
from wam import studio as module
from wam.errors import ImageError, WamError
from wam.pipeline.contract import detect_object
from wam.pipeline.marked import MarkedFile
from wam.pipeline.read import Findings

Make = Callable[..., wam.Studio]
KEY = "0123456789abcdef"


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Studios with a light model, in an empty folder; the user's own registry would be ``own/wam/registry.sqlite``."""

    def light(model: str, *, keys: tuple[bytes | None, ...], **_: Any) -> Any:
        return handmade_marker(*keys)

    monkeypatch.setattr(module, "load_model", light)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "own"))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    monkeypatch.delenv("WAM_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    return wam.Studio


@pytest.fixture
def studio(make: Make) -> wam.Studio:
    return make("sqlite:///marks.db")


def picture(*, seed: int = 0, size: tuple[int, int] = (128, 128)) -> Image.Image:
    return Image.fromarray(smooth_picture(*size, seed=seed))


def content(image: Image.Image, format: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, format)
    return stream.getvalue()


def opened(path: str | Path) -> Image.Image:
    image = Image.open(path)
    image.load()  # which closes the file
    return image


def entries(registry: str = "marks.db") -> list[tuple[str, str]]:
    return [(entry.record.asset, entry.state) for entry in Registry.open(registry, create=False).entries()]


def assets(found: Findings | Exception) -> list[str]:
    assert isinstance(found, Findings)
    return [mark.record.asset for mark in found.marks if mark.record]


def test_a_copy_without_its_mark_leads_to_the_record(studio: wam.Studio) -> None:
    source = Image.fromarray(varied_picture())
    done = studio.mark(source, asset="123", owner="acme", user="u-77")
    found = studio.read(source, similar=3)
    assert found.marks == () and found.similar is not None
    (one,) = found.similar.pictures
    assert (one.entry.link, one.entry.record.user, one.turned) == (done.link, "u-77", "") and one.distance <= 30
    assert found.similar.among == 1 and studio.read(source).similar is None
    with pytest.raises(ValueError, match="expected 1 to 100 pictures, found 101"):
        studio.read(source, similar=101)


def test_the_lines_of_the_readme(studio: wam.Studio) -> None:
    picture().save("photo.png")
    done = studio.mark("photo.png", asset="123", owner="acme", user="u-77")
    (mark,) = studio.read(done.content).marks
    assert (mark.status, mark.link, mark.record) == ("verified", done.link, done.report.record)
    assert mark.record is not None and mark.record.user == "u-77"
    assert len(mark.region.polygon) > 2 and mark.region.polygon in mark.region.polygons
    assert entries() == [("123", "marked")]


def test_results_are_short_when_shown(studio: wam.Studio) -> None:
    done = studio.mark(picture(), asset="1", owner="acme")
    assert len(repr(done)) < 1000 and repr(done).startswith("MarkedFile(report=MarkReport(")
    (mark,) = studio.read(done.content).marks
    assert "array" not in repr(mark)


def test_results_are_frozen(studio: wam.Studio) -> None:
    done = studio.mark(picture(), asset="1", owner="acme")
    with pytest.raises(dataclasses.FrozenInstanceError):
        done.content = b""  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        studio.read(done.content).readings = ()  # type: ignore[misc]


@pytest.mark.parametrize("kind", ["path", "text", "content", "PIL"])
def test_a_picture_may_be_given_as(studio: wam.Studio, kind: str) -> None:
    path = Path("photo.png")
    path.write_bytes(content(picture()))
    given = {"path": path, "text": str(path), "content": path.read_bytes(), "PIL": opened(path)}[kind]
    done = studio.mark(given, asset=kind, owner="acme")
    assert assets(studio.read(done.image if kind == "PIL" else done.content)) == [kind]


def test_the_format_stays_or_is_chosen(studio: wam.Studio) -> None:
    photo = content(picture(), "BMP")
    assert studio.mark(photo, asset="1", owner="acme").image.format == "BMP"
    assert studio.mark(photo, asset="1", owner="acme", format="webp").image.format == "WEBP"
    assert studio.mark(photo, asset="1", owner="acme", format=".tif").image.format == "TIFF"
    with pytest.raises(ImageError, match="expected an output name ending in"):
        studio.mark(photo, asset="1", owner="acme", format="doc")


def test_a_file_is_saved_whole(studio: wam.Studio) -> None:
    done = studio.mark(picture(), asset="1", owner="acme")
    done.save("out.png")
    assert Path("out.png").read_bytes() == done.content
    with pytest.raises(ImageError, match="nowhere"):
        done.save("nowhere/out.png")


class TestTransparency:
    @pytest.fixture
    def veil(self) -> Image.Image:
        """Transparent at the left with hidden blue, half transparent at the right."""
        image = picture().convert("RGBA")
        image.paste((0, 0, 255, 0), (0, 0, 20, 128))
        image.putalpha(
            Image.fromarray(np.minimum(np.array(image)[..., 3], np.r_[[255] * 108, [128] * 20]).astype("u1"))
        )
        return image

    @pytest.mark.parametrize("kind", ["PIL", "content"])
    def test_stays_pixel_by_pixel(self, studio: wam.Studio, veil: Image.Image, kind: str) -> None:
        done = studio.mark(veil if kind == "PIL" else content(veil), asset="1", owner="acme")
        marked, before = np.array(done.image), np.array(veil)
        assert done.image.mode == "RGBA"
        assert (marked[..., 3] == before[..., 3]).all()
        assert (marked[:, :20, :3] == before[:, :20, :3]).all()  # hidden colours, not black
        assert (marked[:, 30:, :3] != before[:, 30:, :3]).any()

    def test_is_refused_where_the_format_has_none(self, studio: wam.Studio, veil: Image.Image) -> None:
        with pytest.raises(ImageError, match="expected an opaque picture for JPEG, found transparent parts"):
            studio.mark(veil, asset="1", owner="acme", format="jpg")
        assert entries() == [("1", "discarded")]

    @pytest.mark.parametrize("mode", ["LA", "RGBa", "PA"])
    def test_of_other_modes(self, studio: wam.Studio, veil: Image.Image, mode: str) -> None:
        image = veil.convert(mode) if mode != "PA" else picture().convert("L").convert("PA")
        done = studio.mark(image, asset="1", owner="acme")
        assert done.image.mode in ("LA", "RGBA")
        assert done.image.getchannel("A").tobytes() == image.convert("RGBA").getchannel("A").tobytes()


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "CMYK", "YCbCr"])
def test_pil_images_of_any_usual_mode(studio: wam.Studio, mode: str) -> None:
    image = picture().convert(mode) if mode != "I;16" else Image.fromarray(smooth_picture()[..., 0] * np.uint16(257))
    done = studio.mark(image, asset=mode, owner="acme", strength=34.0)
    assert done.image.mode == {"P": "RGB", "YCbCr": "RGB"}.get(mode, mode)
    assert assets(studio.read(done.content)) == [mode]


def test_a_pil_image_keeps_profile_and_exif(studio: wam.Studio) -> None:
    image = picture()
    exif = image.getexif()
    exif[0x010E] = "a slope"
    image.save("in.jpg", exif=exif, icc_profile=b"no profile, but kept")
    done = studio.mark(opened("in.jpg"), asset="1", owner="acme")
    assert done.image.getexif()[0x010E] == "a slope"
    assert done.image.info["icc_profile"] == b"no profile, but kept"


@pytest.mark.parametrize(
    ("given", "found"),
    [
        (smooth_picture(), "found ndarray, convert it: Image.fromarray"),
        (None, "found NoneType"),
        (Image.new("F", (64, 64)), "found F, convert it first"),
        ("none.png", "none.png: expected a readable file"),
        (b"no picture", "picture: expected a PNG, JPEG"),
    ],
)
def test_what_is_no_picture_is_one_line_and_costs_no_id(studio: wam.Studio, given: Any, found: str) -> None:
    Registry.open("marks.db")
    for call in (lambda: studio.mark(given, asset="1", owner="acme"), lambda: studio.read(given)):
        with pytest.raises(ImageError) as raised:
            call()
        assert found in str(raised.value) and "\n" not in str(raised.value)
    assert entries() == []


def test_animations_as_pil_images_are_refused_with_what_to_do(studio: wam.Studio) -> None:
    frames = [picture(seed=seed) for seed in range(2)]
    frames[0].save("moving.png", save_all=True, append_images=frames[1:])
    with Image.open("moving.png") as moving, pytest.raises(ImageError, match=r"or image\.copy\(\)"):
        studio.mark(moving, asset="1", owner="acme")
    done = studio.mark("moving.png", asset="1", owner="acme", frames=True)
    assert (done.report.frames, assets(studio.read(done.content, frames=True))) == (2, ["1"])


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({"mode": "both"}, "mode: expected link or record, found both"),
        ({"quality": 0}, "quality: expected 1 to 100, found 0"),
        ({"strength": 7.0}, "strength: expected 30 to 55 dB"),
        ({"encrypt": True}, "encrypt: expected mode record with it"),
        ({"mode": "record", "encrypt": True}, "encrypt: expected a key, found none"),
        ({"time": "yesterday"}, "time: expected RFC 3339"),
        ({"time": datetime(2026, 1, 1)}, "expected a datetime with a time zone"),
        ({"user": ""}, "user: expected text"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(studio: wam.Studio, options: Any, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        studio.mark(picture(), asset="1", owner="acme", **options)
    assert not Path("marks.db").exists()


def test_time_and_label(studio: wam.Studio) -> None:
    time = datetime(2026, 11, 22, 9, 30, tzinfo=UTC)
    done = studio.mark(picture(), asset="1", owner="acme", time="2026-11-22T10:30:00+01:00", label=True)
    assert done.report.record.ingested_at == time and done.report.labelled
    assert studio.read(done.content).label_agrees is True
    assert studio.mark(picture(), asset="1", owner="acme", time=time).report.record.ingested_at == time


def test_record_mode_needs_no_registry(studio: wam.Studio, make: Make) -> None:
    with pytest.raises(RecordTooLongError):
        studio.mark(picture(), asset="1", owner="acme", mode="record")
    done = studio.mark(picture(size=(600, 800)), asset="7", owner="acme", mode="record", strength=34.0)
    assert (done.link, assets(make().read(done.content))) == (None, ["7"])
    assert not list(Path().glob("*.sqlite")) and not Path("marks.db").exists()


class TestRegistry:
    def test_the_users_own_is_made_when_it_is_needed(self, make: Make) -> None:
        studio = make()
        done = studio.mark(picture(), asset="1", owner="acme")
        assert entries("own/wam/registry.sqlite") == [("1", "marked")]
        assert assets(make().read(done.content)) == ["1"]

    def test_of_the_environment(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WAM_REGISTRY", "elsewhere.sqlite")
        make().mark(picture(), asset="1", owner="acme")
        assert entries("elsewhere.sqlite") == [("1", "marked")]

    def test_an_open_one(self, make: Make) -> None:
        registry = Registry.open("open.sqlite")
        done = make(registry).mark(picture(), asset="1", owner="acme")
        assert [entry.link for entry in registry.entries()] == [done.link]

    def test_one_that_is_not_there_reads_nothing_unless_it_was_named(self, make: Make, studio: wam.Studio) -> None:
        assert make().read(picture()).marks == ()
        assert not Path("own/wam/registry.sqlite").exists()
        with pytest.raises(PayloadError, match=r"marks\.db: expected a file, found none"):
            studio.read(picture())

    def test_a_url_that_is_none_is_refused_at_once(self, make: Make) -> None:
        with pytest.raises(PayloadError, match="expected sqlite or postgresql"):
            make("mysql://host/name")

    def test_another_registrys_mark_is_unregistered(self, make: Make, studio: wam.Studio) -> None:
        done = make("other.db").mark(picture(), asset="1", owner="acme")
        studio.mark(picture(seed=1), asset="2", owner="acme")
        (mark,) = studio.read(done.content).marks
        assert (mark.status, mark.record, mark.link) == ("unregistered", None, done.link)

    def test_what_cannot_be_marked_gives_its_id_up(self, studio: wam.Studio, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "mark_one", lambda *_, **__: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            studio.mark(picture(), asset="1", owner="acme")
        assert entries() == [("1", "discarded")]

    def test_killed_in_between_an_id_stays_taken(self, studio: wam.Studio, monkeypatch: pytest.MonkeyPatch) -> None:
        """What a crash leaves: neither confirmed nor discarded."""
        first = studio.mark(picture(), asset="1", owner="acme")
        with sqlite3.connect("marks.db") as database:
            database.execute("UPDATE wam_entry SET state = 'pending'")
        second = studio.mark(picture(seed=1), asset="2", owner="acme")
        assert first.link != second.link
        assert entries() == [("1", "pending"), ("2", "marked")]
        assert assets(studio.read(first.content)) == ["1"]  # the caller may have got it before the crash

    def test_a_registry_that_does_not_confirm_gives_no_file(
        self, studio: wam.Studio, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def busy(*_: Any, **__: Any) -> None:
            raise PayloadError("registry: expected to write it, found: locked; try again")

        monkeypatch.setattr(Registry, "confirm", busy)
        with pytest.raises(PayloadError, match="locked"):
            studio.mark(picture(), asset="1", owner="acme")
        assert entries() == [("1", "discarded")]


class TestKey:
    def test_marks_are_the_keys_own_and_public_ones_are_read_too(self, make: Make) -> None:
        Path("key").write_text(KEY)
        keyed, public = make("marks.db", key_file="key"), make("marks.db")
        secret = keyed.mark(picture(), asset="1", owner="acme")
        plain = public.mark(picture(seed=1), asset="2", owner="acme")
        assert assets(keyed.read(secret.content)) == ["1"] and assets(keyed.read(plain.content)) == ["2"]
        assert public.read(secret.content).marks == ()

    def test_of_the_environment(self, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WAM_KEY", KEY)
        done = make("marks.db").mark(picture(), asset="1", owner="acme")
        monkeypatch.delenv("WAM_KEY")
        assert make("marks.db").read(done.content).marks == ()

    @pytest.mark.parametrize(("content", "found"), [("short", "found 5"), (None, "No such file")])
    def test_one_that_is_none_is_one_line(self, make: Make, content: str | None, found: str) -> None:
        if content is not None:
            Path("key").write_text(content)
        with pytest.raises(WamError, match=found):
            make(key_file="key")


def test_threads_share_a_studio(studio: wam.Studio) -> None:
    """The registry is opened once, and each picture gets its own id."""
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda n: studio.mark(picture(seed=n), asset=str(n), owner="acme"), range(8)))
        found = list(pool.map(lambda one: studio.read(one.content), done))
    assert [assets(one) for one in found] == [[str(n)] for n in range(8)]
    assert len({one.link for one in done}) == 8
    assert sorted(entries()) == [(str(n), "marked") for n in range(8)]


def test_under_asyncio_a_thread_does_the_work(studio: wam.Studio) -> None:
    upload = content(picture())

    async def serve() -> list[str]:
        done = await asyncio.to_thread(studio.mark, upload, asset="123", owner="acme")
        return assets(await asyncio.to_thread(studio.read, done.content))

    assert asyncio.run(serve()) == ["123"]


class TestMany:
    @pytest.mark.parametrize("workers", [1, 3])
    def test_in_order_with_errors_in_their_place(self, studio: wam.Studio, workers: int) -> None:
        given = [(picture(seed=n) if n != 2 else b"", Record(str(n), "acme")) for n in range(5)]
        done = list(studio.mark_many(given, workers=workers, format="png"))
        assert [isinstance(one, MarkedFile) for one in done] == [True, True, False, True, True]
        assert isinstance(done[2], ImageError)
        found = list(studio.read_many([getattr(one, "content", b"") for one in done], workers=workers))
        assert isinstance(found[2], ImageError)
        assert [assets(one) for one in found if isinstance(one, Findings)] == [["0"], ["1"], ["3"], ["4"]]

    def test_pictures_are_taken_as_they_are_asked_for(self, studio: wam.Studio) -> None:
        taken = []

        def endless() -> Any:
            for number in range(1000):
                taken.append(number)
                yield picture(seed=number), Record(str(number), "acme")

        results = studio.mark_many(endless())
        next(results)
        assert len(taken) < 10
        results.close()  # type: ignore[attr-defined]
        assert len(entries()) < 10

    def test_wrong_options_are_refused_before_anything_is_done(self, studio: wam.Studio) -> None:
        with pytest.raises(ValueError, match="quality"):
            studio.mark_many([], quality=101)
        with pytest.raises(ValueError, match="workers: expected 1 or more, found 0"):
            studio.read_many([], workers=0)


def test_findings_make_the_contracts_object(studio: wam.Studio) -> None:
    done = studio.mark(picture(), asset="1", owner="acme")
    said = detect_object(studio.read(done.content), image="upload", model=studio.marker.name)
    assert said["watermarks"][0]["link"] == done.link


def test_marks_are_told_as_people_read_a_page(studio: wam.Studio) -> None:
    page = Image.new("RGB", (560, 300), (128, 128, 128))
    for place, strength in enumerate((36.0, 40.0)):  # the second is the less sure one
        done = studio.mark(picture(seed=place, size=(256, 256)), asset=str(place), owner="acme", strength=strength)
        page.paste(done.image, (290 - 280 * place, 20))
    assert assets(studio.read(page)) == ["1", "0"]


def test_a_quick_look_says_that_it_was_one(studio: wam.Studio) -> None:
    done = studio.mark(picture(), asset="1", owner="acme")
    quick = studio.read(done.content, quick=True)
    assert assets(quick) == ["1"] and not quick.complete and quick.reason is not None and "quick" in quick.reason
    assert studio.read(done.content, seconds=60.0).complete
    with pytest.raises(wam.WamError, match="quick: expected without thorough"):
        studio.read_many([done.content], thorough=True, quick=True)


class TestReuse:
    def test_the_same_content_for_the_same_record_keeps_its_link(self, studio: wam.Studio) -> None:
        first = studio.mark(content(picture()), asset="1", owner="acme", user="u")
        again = studio.mark(content(picture()), asset="1", owner="acme", user="u", quality=None)
        assert again.link == first.link and again.report.record == first.report.record
        assert any("--new-link" in note for note in again.report.notes) and not first.report.notes

    def test_anything_else_gets_its_own(self, studio: wam.Studio) -> None:
        def mark(seed: int = 0, asset: str = "1", **how: Any) -> str | None:
            return studio.mark(content(picture(seed=seed)), asset=asset, owner="acme", **how).link

        assert len({mark(), mark(seed=1), mark(asset="2"), mark(time="2020-01-01T00:00:00Z"), mark(new_link=True)}) == 5


def test_several_registries_are_read_and_the_first_is_written_to(make: Make) -> None:
    first, second = make("a.db"), make("b.db")
    marked = [
        one.mark(content(picture(seed=seed)), asset=str(seed), owner="acme") for seed, one in enumerate((first, second))
    ]
    both = make(["b.db", Registry.open("a.db")])
    for place, name in enumerate(("a.db", "b.db")):
        (mark,) = both.read(marked[place].content).marks
        assert mark.status == "verified" and mark.registry is not None and Path(mark.registry).name == name
    both.mark(content(picture(seed=5)), asset="new", owner="acme")
    assert [len([*Registry.open(name).entries()]) for name in ("a.db", "b.db")] == [1, 2]


def test_a_copy_for_each_recipient_has_a_link_of_its_own(studio: wam.Studio) -> None:
    given = content(picture())
    copies = [*studio.mark_for(given, ["ann", "bob", "ann"], asset="7", owner="acme")]
    assert all(isinstance(one, MarkedFile) for one in copies)
    ann, bob, again = (one for one in copies if isinstance(one, MarkedFile))
    assert ann.link != bob.link and ann.content == again.content and again.report.notes  # the link that she had
    for one, user in ((ann, "ann"), (bob, "bob")):
        (mark,) = studio.read(one.content).marks
        assert (mark.status, mark.record and mark.record.user) == ("verified", user)


def test_what_cannot_be_marked_stands_in_the_recipients_place(studio: wam.Studio) -> None:
    first, second = studio.mark_for(content(picture()), ["n" * 300, "bob"], asset="7", owner="acme", workers=2)
    assert isinstance(first, ValueError) and isinstance(second, MarkedFile)
    with pytest.raises(ValueError, match="asset"):
        studio.mark_for(content(picture()), ["bob"], asset="", owner="acme")
