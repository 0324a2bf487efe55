"""The pages of the documentation: readers find what is linked, and what they are told to run does what is said."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from payload import Record, bits_from_word, derive_subkeys, format_link, parse_time, seal_frame, split_frame
from payload.codes.bch import encode
from payload.codes.id_permutation import permute
from payload.layout import FRAME_LAYOUT, ID_COUNT, LINK_LAYOUT, MARK_LAYOUT, Field
from payload.records.frame import frame_tag
from payload.records.text_packing import CLASSES
from scripts import cli_reference, docs_pages
from scripts.docs_pages import ROOT
from tests.docs.pages import Block, Reader, blocks, likened, make_pictures
from wam.cli import terminal

PAGES = docs_pages.nav_pages((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
FOLLOWED = [page for page in PAGES if page.startswith("howto/")] + ["python.md", "bench.md", "json.md"]
SOURCES = {docs_pages.source_path(page) for page in PAGES}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def test_every_page_is_in_the_nav_once_and_every_entry_is_a_page() -> None:
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert files | {docs_pages.NOTEBOOK_PAGE} == {source for source in SOURCES if source.startswith("docs/")}
    assert len(PAGES) == len(set(PAGES))
    for source in SOURCES:
        assert docs_pages.read_page(source).startswith("# ") or source == "checkpoints/ablation.md", source


@pytest.mark.parametrize("page", sorted(SOURCES | {"README.md"}))
def test_links_lead_somewhere(page: str) -> None:
    for link in docs_pages.links(docs_pages.read_page(page)):
        target, anchor = docs_pages.target_of(link, page)
        if target != docs_pages.NOTEBOOK_PAGE:
            assert (ROOT / target).is_file(), link
        if target.endswith(".md") and page != "README.md":
            assert target in SOURCES, f"{link}: no page of the site"
        assert not anchor or anchor in docs_pages.anchors(docs_pages.read_page(target)), link


def test_api_pages_name_what_there_is() -> None:
    for page in PAGES:
        if page.startswith("api/"):
            named = re.findall(r"^::: (\S+)$", docs_pages.read_page(f"docs/{page}"), re.MULTILINE)
            assert named
            for name in named:
                module, _, attribute = name.rpartition(".")
                assert hasattr(__import__(module, fromlist=[attribute]), attribute), name


@pytest.mark.parametrize("page", FOLLOWED)
def test_a_page_can_be_followed_word_for_word(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAM_REGISTRY", "WAM_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    monkeypatch.setattr(terminal, "width", lambda: 80)
    make_pictures(work)
    reader = Reader(tmp_path)
    steps = list(blocks(docs_pages.read_page(f"docs/{page}")))
    assert steps
    for block in steps:
        printed = reader.follow(block)
        if block.printed is not None:
            assert likened(printed) == likened(block.printed)


def test_blocks_go_with_what_they_print() -> None:
    page = "```sh\nwam a\n```\n\n```text\nout\n```\n\nwords\n\n```python\n1\n```\n\nwords\n\n```text\nnot run\n```\n"
    assert list(blocks(page)) == [Block("sh", "wam a\n", "out\n"), Block("python", "1\n", None)]


def test_the_page_of_commands_is_that_of_the_commands() -> None:
    """After a change: python scripts/cli_reference.py"""
    assert cli_reference.page() == cli_reference.PLACE.read_text(encoding="utf-8")


PAYLOAD = (ROOT / "docs" / "payload.md").read_text(encoding="utf-8")


def rows(head: str) -> list[list[str]]:
    """The cells of the table on the page of the payload that begins so, without their back ticks."""
    table = PAYLOAD[PAYLOAD.index(head) :].split("\n\n")[0].splitlines()[2:]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in table]


@pytest.mark.parametrize("layout", [LINK_LAYOUT, MARK_LAYOUT, FRAME_LAYOUT], ids=["link", "mark", "frame"])
def test_the_payload_page_has_the_table_of_the_layout(layout: tuple[Field, ...]) -> None:
    lines = [f"| {field.name} | {field.bits or 'as needed'} | {field.meaning} |" for field in layout]
    assert "\n".join(["| field | bits | meaning |", "|---|---|---|", *lines]) in PAYLOAD


def test_words_and_links_of_the_payload_page_are_right() -> None:
    shown = rows("| id | word | link |")
    assert len(shown) == 9
    for number, bits, link in shown:
        word = int(encode([int(number)])[0])
        assert (bits_from_word(word), format_link(word)) == (bits, link)


def test_the_permutation_of_the_payload_page_is_right() -> None:
    match = re.search(r"secret `(\w+)` \(hexadecimal\) .*? ids ([\d, ]+), and the last, 2,097,151, has (\d+)", PAYLOAD)
    assert match is not None
    numbers = [*range(8), ID_COUNT - 1]
    ids = [int(text) for text in (*match[2].split(", "), match[3])]
    assert permute(bytes.fromhex(match[1]), numbers).tolist() == ids


def test_text_classes_of_the_payload_page_are_right() -> None:
    shown = [(int(number), name, int(base)) for number, name, base, _ in rows("| class | name | base |")]
    assert shown == [(number, one.name, one.base) for number, one in enumerate(CLASSES)]


def test_keys_and_frames_of_the_payload_page_are_right() -> None:
    (text,) = set(re.findall(r"secret `(\w+)` \(ASCII\)", PAYLOAD))
    keys = derive_subkeys(text.encode())
    assert {name: value for name, value in rows("| key | hexadecimal |")} == {
        name: getattr(keys, name).hex() for name in ("carrier", "authentication", "encryption")
    }
    shown = rows("| asset | owner | user |")
    assert len(shown) == 7
    for asset, owner, user, time, protection, phash, frame, tag, marks in shown:
        made = seal_frame(
            Record(asset, owner, None if user == "–" else user, parse_time(time)),
            subkeys=None if protection == "checksum" else keys,
            encrypt=protection == "encrypted",
            phash=None if phash == "–" else int(phash, 16),
        )
        assert made.hex() == frame and frame_tag(made) == int(tag) and len(split_frame(made)) == int(marks)
    words = [bits_from_word(mark.word) for mark in split_frame(bytes.fromhex(shown[0][6]))]
    assert [[str(number), word] for number, word in enumerate(words)] == rows("| index | word |")


def test_links_are_changed_for_the_site_outside_code_only() -> None:
    page = "[a](../wam/samples/README.md#x) `[b](../c)`\n\n```text\n[d](../e)\n```\n[f](#g) [h](https://i)"
    changed = docs_pages.with_links_of_the_site(page, "docs/limits.md")
    assert changed == page.replace("../wam/samples", "wam/samples")


def test_a_notebook_becomes_a_page() -> None:
    notebook = {
        "cells": [
            {"cell_type": "markdown", "source": ["# Tour\n", "words"]},
            {"cell_type": "code", "source": ["print(1)"], "outputs": [{"text": ["1\n"]}]},
            {"cell_type": "code", "source": ["image"], "outputs": [{"data": {"image/jpeg": "YWJj\n"}}]},
        ]
    }
    page = docs_pages.notebook_page(json.loads(json.dumps(notebook)))
    assert page.startswith("# Tour\nwords\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n")
    assert 'src="data:image/jpeg;base64,YWJj"' in page
