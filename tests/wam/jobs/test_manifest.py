"""The manifest of a run."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from wam.jobs.manifest import Manifest, ManifestError


class TestManifest:
    def test_the_last_line_of_a_path_counts_and_a_torn_one_does_not(self, tmp_path: Path) -> None:
        with Manifest(tmp_path) as manifest:
            manifest.add({"path": "a", "status": "pending"}, {"path": "a", "status": "marked"})
        with open(tmp_path / "manifest.jsonl", "ab") as stream:
            stream.write(b'{"path": "b", "sta')
        with Manifest(tmp_path) as manifest:
            assert {path: line["status"] for path, line in manifest.done.items()} == {"a": "marked"}
            manifest.add({"path": "c", "status": "pending"})
        with Manifest(tmp_path) as manifest:
            assert set(manifest.done) == {"a", "c"}

    def test_a_line_that_does_not_fit_leaves_nothing_behind(self, tmp_path: Path) -> None:
        class Full(io.FileIO):
            room = 20

            def write(self, content: Any) -> int:
                if not self.room:
                    raise OSError(28, "No space left on device")
                written, self.room = super().write(content[: self.room]), 0
                return written

        with Manifest(tmp_path) as manifest:
            manifest.add({"path": "a", "status": "marked"})
            whole, manifest._stream = manifest._stream, Full(tmp_path / "manifest.jsonl", "ab")  # type: ignore[assignment]
            with pytest.raises(ManifestError, match="No space left on device"):
                manifest.add({"path": "b", "status": "marked"}, durable=False)
            manifest._stream.close()  # type: ignore[union-attr]
            manifest._stream = whole
            manifest.add({"path": "c", "status": "marked"})
        with Manifest(tmp_path) as manifest:
            assert set(manifest.done) == {"a", "c"}

    def test_a_second_run_is_kept_out(self, tmp_path: Path) -> None:
        with Manifest(tmp_path), pytest.raises(ManifestError, match="found another run writing there"):
            Manifest(tmp_path)
        Manifest(tmp_path).__exit__()

    def test_behind_a_url(self) -> None:
        with Manifest("memory://manifests/one") as manifest:
            manifest.add({"path": "a", "status": "pending"})
            manifest.add({"path": "a", "status": "marked"}, durable=False)
        with Manifest("memory://manifests/one") as manifest:
            assert manifest.done == {"a": {"path": "a", "status": "marked"}}
