"""Lists of who gets a copy, and runs over them."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.registry import Registry
from tests.wam.jobs.runs import check
from wam.jobs.engines.local import embed_locally
from wam.jobs.engines.steps import LoadOnce
from wam.jobs.journal import Journal
from wam.jobs.link_mode import LinkMode
from wam.jobs.manifest import Manifest
from wam.jobs.outcome import EmbedOutcome
from wam.jobs.plan import Fields, Item, Source
from wam.jobs.recipients import Copies, ListError, plan_copies
from wam.watermarker import Watermarker

COMMON = Fields("123", "acme")


def planned(tmp_path: Path, text: str | bytes, common: Fields = COMMON, *, name: str = "photo.jpg") -> Copies:
    path = tmp_path / "list.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return plan_copies(path, Source(tmp_path / name, name), tmp_path / "out", common)


def names(copies: Copies) -> list[str]:
    return [item.source.name for item in copies.items]


@pytest.mark.parametrize(
    "text",
    [
        "recipient,name\nann@example.org,Ann\nbob,\n",
        "\ufeffname;recipient\r\nAnn;ann@example.org\r\n\r\n;bob\r\n",
        "recipient\tname\n ann@example.org \tAnn\nbob\t\n\t\n",
        'recipient,name\n"ann@example.org",Ann\n"bob",""\n',
    ],
)
def test_lists_are_read_as_they_come(tmp_path: Path, text: str) -> None:
    copies = planned(tmp_path, text)
    assert [item.record and item.record.user for item in copies.items] == ["ann@example.org", "bob"]
    assert names(copies) == ["photo.Ann.jpg", "photo.bob.jpg"]
    assert [item.target for item in copies.items] == [tmp_path / "out" / name for name in names(copies)]
    assert copies.empty == text.count("\r\n\r\n") + text.count("\n\t\n")


def test_a_row_has_its_own_asset_owner_and_output(tmp_path: Path) -> None:
    text = "recipient,asset,owner,output\nann,7,else,deep/a.png\nbob,,,\n"
    first, second = planned(tmp_path, text).items
    assert first.record is not None and (first.record.asset, first.record.owner) == ("7", "else")
    assert second.record is not None and (second.record.asset, second.record.owner) == ("123", "acme")
    assert first.source.name == "deep/a.png"


def test_a_copy_never_leaves_its_folder_whatever_the_recipient_is_called(tmp_path: Path) -> None:
    copies = planned(tmp_path, "recipient\n../../etc/passwd\nC:\\x\n/root\n")
    assert names(copies) == ["photo._.._etc_passwd.jpg", "photo.C__x.jpg", "photo._root.jpg"]
    for item in copies.items:
        assert Path(str(item.target)).resolve().parent == tmp_path / "out"


@pytest.mark.parametrize(
    ("rows", "line", "found"),
    [
        ("ann,\nann,\n", 3, "ann in line 2 too"),
        (",x.jpg\n", 2, "expected a recipient, found none"),
        ("ann,../x.jpg\n", 2, "found ../x.jpg"),
        ("ann,/x.jpg\n", 2, "found /x.jpg"),
        ("ann,c:/x.jpg\n", 2, "found c:/x.jpg"),
        ("ann,a\\b.jpg\n", 2, "forward slashes"),
        ("ann,x.txt\n", 2, "found .txt"),
        ("ann,a.jpg\nbob,A.JPG\n", 3, "that of line 2"),
        ("a:b,\na?b,\n", 3, "that of line 2"),
        ("ann\n", 2, "expected 2 cells, found 1"),
        (f"{'n' * 300},\n", 2, "user"),
    ],
)
def test_what_is_wrong_is_said_by_line(tmp_path: Path, rows: str, line: int, found: str) -> None:
    with pytest.raises(ListError) as caught:
        planned(tmp_path, "recipient,output\n" + rows)
    (problem,) = caught.value.problems
    assert f"list.csv: line {line}: " in problem and found in problem


def test_all_problems_of_a_list_are_said_at_once(tmp_path: Path) -> None:
    with pytest.raises(ListError) as caught:
        planned(tmp_path, "recipient,output\nann,\nann,\nbob,../b.jpg\n")
    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    "text", ["", "recipient\n", "name\nann\n", "recipient,size\nann,1\n", 'recipient\n"ann\n', b"recipient\n\xff\n"]
)
def test_what_is_no_list_is_refused_in_one_line(tmp_path: Path, text: str | bytes) -> None:
    with pytest.raises(ListError) as caught:
        planned(tmp_path, text)
    assert len(caught.value.problems) == 1 and "list.csv" in str(caught.value)


def test_a_common_field_is_needed_where_the_list_has_none(tmp_path: Path) -> None:
    with pytest.raises(ListError, match="asset: expected one, found none"):
        planned(tmp_path, "recipient\nann\n", Fields(None, "acme"))
    assert planned(tmp_path, "recipient,asset\nann,7\n", Fields(None, "acme")).items


def run(
    light: Watermarker, registry: Registry, items: list[Item], *, stop_after: int | None = None
) -> list[EmbedOutcome]:
    """A run over copies, as the command does it; ``stop_after`` so many outcomes it is interrupted."""
    out = Path(str(items[0].target)).parent
    out.mkdir(exist_ok=True)
    done = []
    with Manifest(out) as manifest:
        mode = LinkMode(registry, Journal(light.name, manifest), confirm_pause=0, copies=True)
        outcomes = embed_locally(light, mode, items, workers=1, resume=True, load=LoadOnce())
        for outcome in outcomes:
            done.append(outcome)
            if len(done) == stop_after:
                outcomes.close()
                break
        if stop_after is not None:  # what a kill leaves: reserved, and nothing written
            mode.reserve(items[-1:], [None])
    return done


def test_an_interrupted_run_goes_on_and_takes_no_id_twice(light: Watermarker, registry: Registry, photos: Path) -> None:
    path = photos.parent / "list.csv"
    path.write_text("recipient\n" + "".join(f"r{number}\n" for number in range(4)))
    items = plan_copies(path, Source(photos / "a.png", "a.png"), photos.parent / "out", COMMON).items
    run(light, registry, items, stop_after=1)
    left = [entry.link for entry in registry.list(state="pending")]
    outcomes = run(light, registry, items)
    assert not [outcome.error for outcome in outcomes if outcome.error]
    assert outcomes[0].earlier is not None
    assert left and set(left) <= {entry.link for entry in registry.list(state="marked")}
    assert check(registry, light) == {"123": "marked"}  # every id is in its file
    users = [entry.record.user for entry in registry.list(state="marked")]
    assert sorted(map(str, users)) == ["r0", "r1", "r2", "r3"]
    assert not [*registry.list(state="pending")]
    assert sorted(place.name for place in (photos.parent / "out").glob("*.png")) == [f"a.r{n}.png" for n in range(4)]


def test_the_source_is_read_once(light: Watermarker, registry: Registry, photos: Path) -> None:
    path = photos.parent / "list.csv"
    path.write_text("recipient,output\nann,a.png\nbob,b.jpg\n")
    items = plan_copies(path, Source(photos / "a.png", "a.png"), photos.parent / "out", COMMON).items
    load = LoadOnce()
    options = Journal(light.name).options
    first, second = (load(item.source.location, item.target, options) for item in items)
    assert first.picture is second.picture and first.digest == second.digest
    assert (first.format, second.format) == ("PNG", "JPEG")
