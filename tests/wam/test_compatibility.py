"""What version 0.2.0 made is read by this one: registries, exports, marked files of each mode, manifests."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import wam
from payload.registry import Registry
from tests.wam.cli.commands import check_contract
from wam.cli import app

DATA = Path(wam.__file__).parents[1] / "tests" / "data" / "0.2.0"
THEN = [json.loads(line) for line in (DATA / "detect.jsonl").read_text().splitlines()]


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of what 0.2.0 left, as the working folder; files are as old as its manifests say."""
    folder = tmp_path / "0.2.0"
    shutil.copytree(DATA, folder)
    monkeypatch.chdir(folder)
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    monkeypatch.delenv("WAM_KEY", raising=False)
    for manifest in folder.glob("*/manifest.jsonl"):
        for line in map(json.loads, manifest.read_text().splitlines()):
            if line["status"] == "marked":
                changed = int(line["source"].rpartition("-")[2])
                os.utime(line["image"], ns=(changed, changed))
    return folder


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, list(arguments))


def test_marked_files_of_each_mode_read_as_then(old: Path) -> None:
    names = [one["image"] for one in THEN]
    done = run("detect", *names, "--registry", "registry.sqlite", "--key-file", "secret.key", "--json")
    assert done.exit_code == 0, done.output
    now = [json.loads(line) for line in done.stdout.splitlines()]
    told = [[(mark["status"], mark["mode"], mark["link"], mark["record"]) for mark in one["watermarks"]] for one in now]
    assert told == [
        [(mark["status"], mark["mode"], mark["link"], mark["record"]) for mark in one["watermarks"]] for one in THEN
    ]
    assert [one["label"] and one["label"]["agrees"] for one in now] == [True, True, None, None, None, None]


def test_a_registry_gives_its_records_and_new_ids(old: Path) -> None:
    registry = Registry.open("registry.sqlite", create=False)
    before = list(registry.list())
    assert [(entry.record.asset, entry.state) for entry in before] == [
        ("a", "marked"), ("b", "marked"), ("keyed", "marked"), ("gone", "withdrawn"),
    ]  # fmt: skip
    new = registry.allocate(before[0].record)
    assert new.word not in {entry.word for entry in before}


def test_an_export_is_imported(old: Path) -> None:
    done = run("registry", "import", "export.jsonl", "--registry", "new.sqlite")
    assert done.exit_code == 0, done.output
    entries = [list(Registry.open(name, create=False).list()) for name in ("registry.sqlite", "new.sqlite")]
    assert entries[0] == entries[1]


@pytest.mark.parametrize(
    "options",
    [
        ("photos", "--out-dir", "out", "--label", "--user", "u-1", "--registry", "registry.sqlite"),
        ("records", "--out-dir", "records_out", "--mode", "record"),
    ],
)
def test_a_run_goes_on_where_0_2_0_ended(old: Path, options: tuple[str, ...]) -> None:
    time = "2026-01-02T03:04:05Z"
    command = ("embed", *options, "--asset-from", "name", "--owner", "acme", "--time", time, "--resume")
    done = run(*command)
    assert done.exit_code == 0, done.output
    assert "0 marked" in done.stderr and "done before" in done.stdout
    assert "marked otherwise" not in done.stderr
    for line in map(json.loads, run(*command, "--json").stdout.splitlines()):
        check_contract(line)
        assert line["self_check"] == "passed" and line["schema"] == 1
