"""The load script asks a service that runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts import service_load
from tests.wam.service.served import in_threads, picture, upload
from wam.service.roles import Role


def test_figures_are_those_of_the_requests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    with in_threads(tmp_path) as served:
        marked = served[Role.MARKER].post("/v1/embed", **upload(picture(seed=1), asset="1", owner="a")).content
        (folder / "0.png").write_bytes(marked)
        (folder / "1.png").write_bytes(picture(seed=2))
        service_load.main(["--url", served.url, "--pictures", str(folder), "--requests", "12", "--at-once", "3"])
    (line,) = capsys.readouterr().out.splitlines()
    said = json.loads(line)["service"]
    assert (said["requests"], said["statuses"]) == (12, {"200": 12})
    assert said["with_marks"] >= 2 and 0 < said["p50_seconds"] <= said["p95_seconds"] <= said["longest_seconds"]


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected pictures, found none"):
        service_load.main(["--pictures", str(tmp_path)])
