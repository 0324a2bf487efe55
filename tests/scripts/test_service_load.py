"""The load script asks a service that runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from scripts import service_load
from tests.wam.service.served import in_threads, picture
from tests.wam.synthetic import handmade_marker
from wam.studio import Studio


class Light(Studio):
    """With the model of the tests."""

    def __init__(self, registry: str) -> None:
        super().__init__(registry)
        self.marker = handmade_marker()


def test_figures_are_those_of_the_requests(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_load, "Studio", Light)
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(2):
        (folder / f"{number}.png").write_bytes(picture(seed=number))
    line = ["--pictures", str(folder), "--requests", "12", "--at-once", "3", "--loop", "4", "--pid", str(os.getpid())]
    with in_threads(tmp_path) as served:
        service_load.main(["--url", served.url, *line])
    service, memory, loop = map(json.loads, capsys.readouterr().out.splitlines())
    said = service["service"]
    assert (said["requests"], said["statuses"], said["with_marks"]) == (12, {"200": 12}, 2)
    assert 0 < said["p50_seconds"] <= said["p95_seconds"] <= said["longest_seconds"]
    assert len(memory["memory_mib"]) == 3 and all(one > 50 for one in memory["memory_mib"])
    assert loop["loop"]["pictures"] == 4
    assert loop["ratio"] == pytest.approx(said["per_second"] / loop["loop"]["per_second"], rel=0.01)


def test_a_folder_without_pictures_is_said(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected pictures, found none"):
        service_load.main(["--pictures", str(tmp_path)])
