"""``wam registry scheme`` and ``next-generation``, and what ``detect`` says of labelled marks."""

from __future__ import annotations

from pathlib import Path

from tests.wam.cli.commands import MARK, Run, draw, error_line, objects
from wam.cli.mark_lines import cells, picture_line


def test_a_registry_is_told_which_words_to_give_out(run: Run) -> None:
    assert "0 records" in run("registry", "init", "--registry", "a.db").stdout
    said = run("registry", "scheme", "--registry", "a.db").stdout
    assert said.endswith("a.db: plain words, 2,097,152 free\n")
    plain = run("registry", "next-generation", "--registry", "a.db")
    assert plain.exit_code == 1 and "found plain ones; run `wam registry scheme labelled` first" in error_line(plain)
    said = run("registry", "scheme", "labelled", "--registry", "a.db").stdout
    assert said.endswith("a.db: labelled words, generation 0, 2,097,152 free\n")
    assert "generation 1, 2,097,152 free" in run("registry", "next-generation", "--registry", "a.db").stdout
    back = run("registry", "scheme", "plain", "--registry", "a.db")
    assert back.exit_code == 1 and "the only one of plain words, found 1" in error_line(back)
    (stats,) = objects(run("registry", "stats", "--registry", "a.db", "--json"))
    assert (stats["scheme"], stats["generation"], stats["allocated"]) == ("labelled", 1, 0)
    assert run("registry", "init", "--scheme", "labelled", "--registry", "b.db").exit_code == 0
    assert "labelled words" in run("registry", "scheme", "--registry", "b.db").stdout


def test_a_folder_is_marked_and_read_across_generations(run: Run, photo: Path) -> None:
    draw("in/a.png", seed=1)
    draw("in/b.png", seed=2)
    marked = ("--asset-from", "name", "--owner", "acme", "--out-dir", "out", "--registry", "own.db", "--json")
    plain = objects(run("embed", "in/a.png", *marked))
    run("registry", "scheme", "labelled", "--registry", "own.db")
    run("registry", "next-generation", "--registry", "own.db")
    (second,) = objects(run("embed", "in/b.png", *marked))
    assert len(plain[0]["link"]) == 12 and len(second["link"]) == 17
    assert objects(run("embed", "in/b.png", *marked, "--resume"))[0]["link"] == second["link"]
    (shown,) = objects(run("registry", "show", second["link"], "--registry", "own.db", "--json"))
    assert (shown["generation"], shown["state"], shown["record"]["asset"]) == (1, "marked", "b")
    found = [one["watermarks"] for one in objects(run("detect", "out", "--registry", "own.db", "--json"))]
    assert [(mark["status"], mark["record"]["asset"], mark["link"]) for (mark,) in found] == [
        ("verified", "a", plain[0]["link"]), ("verified", "b", second["link"]),
    ]  # fmt: skip
    assert [mark["label"] and mark["label"]["generation"] for (mark,) in found] == [None, 1]
    logged = run("detect", "out", "--registry", "own.db", "--log-look-ups")
    assert logged.exit_code == 0
    lines = objects(run("registry", "audit", "--registry", "own.db", "--json"))
    assert [one["link"] for one in lines if one["event"] == "looked-up"] == [plain[0]["link"], second["link"]]
    assert run("registry", "audit", "--verify", "--registry", "own.db").exit_code == 0


def test_a_mark_of_another_registry_is_called_that(run: Run, photo: Path) -> None:
    run("registry", "init", "--scheme", "labelled", "--registry", "theirs.db")
    run("embed", photo, *MARK, "-o", "out.png", "--registry", "theirs.db")
    run("registry", "init", "--scheme", "labelled", "--registry", "ours.db")
    table = run("detect", "out.png", "--registry", "ours.db")
    assert table.exit_code == 0 and "another registry's" in table.stdout and "unregistered" in table.stdout
    (found,) = objects(run("detect", "out.png", "--registry", "ours.db", "--json"))
    (mark,) = found["watermarks"]
    assert mark["label"] == {"known": False, "namespace": None, "generation": None}
    assert (mark["link"], mark["record"], mark["registry"]) == (None, None, None)
    explained = run("detect", "out.png", "--registry", "ours.db", "-v").stderr
    assert "labelled by another registry, read from half of its frequencies" in explained
    explained = run("detect", "out.png", "--registry", "theirs.db", "-v").stderr
    assert ", generation 0; " in explained


def test_the_chance_of_a_name_is_shown_where_it_is_not_small(run: Run, photo: Path) -> None:
    run("embed", photo, *MARK, "-o", "out.png")
    (found,) = objects(run("detect", "out.png", "--json"))
    (mark,) = found["watermarks"]
    assert mark["name_log10_p"] == -6.32 and "name" not in cells(mark)["chance"]
    assert cells({**mark, "name_log10_p": -2.1})["chance"].endswith(" (name 8e-3)")
    foreign = {**mark, "label": {"known": False, "namespace": None, "generation": None}, "link": None, "record": None}
    assert picture_line("a.png", [foreign], None) == "a.png: verified another registry's"
