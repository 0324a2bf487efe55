"""The manifest of a run."""

from __future__ import annotations

import resource
from pathlib import Path

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
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        with Manifest(tmp_path) as manifest:
            manifest.add({"path": "a", "status": "marked"})
            room = (tmp_path / "manifest.jsonl").stat().st_size + 20
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))  # bytes of a file: half of the next line fits
            try:
                with pytest.raises(ManifestError, match="expected room for a line, found: File too large"):
                    manifest.add({"path": "b", "status": "marked"}, durable=False)
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, limits)
            manifest.add({"path": "c", "status": "marked"})
        with Manifest(tmp_path) as manifest:
            assert set(manifest.done) == {"a", "c"}
        assert len((tmp_path / "manifest.jsonl").read_text().splitlines()) == 2

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
