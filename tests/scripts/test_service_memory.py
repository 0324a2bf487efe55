"""The script says what a process needs as it reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from scripts import service_memory
from tests.wam.service.served import picture
from tests.wam.synthetic import handmade_marker
from wam.models.convolutions import VARIABLES


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc")
def test_memory_is_said_as_pictures_are_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_memory, "single_threaded", lambda load: handmade_marker)
    for name in VARIABLES:
        monkeypatch.setenv(name, "1024")  # what the script changes is put back
    (tmp_path / "a.png").write_bytes(picture())
    line = ["--pictures", str(tmp_path), "--count", "4", "--every", "2", "--kept", "32", "--sides", "96", "128"]
    service_memory.main(line)
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["read"] for one in said][:3] == [0, 2, 4] and all(one["pss"] > 50 for one in said)
    with pytest.raises(SystemExit, match="expected pictures, found none"):
        list(service_memory.pictures(tmp_path / "none", 1))
