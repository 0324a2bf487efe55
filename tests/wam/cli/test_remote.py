"""Folders behind URLs: a server of our own that speaks the S3 protocol, where the extras [s3] and moto are installed.

``memory://`` is in ``tests/wam/jobs``, for every machine.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.wam.cli.commands import Run, counts, error_line, objects
from tests.wam.synthetic import smooth_picture

MARK = ("--asset-from", "name", "--owner", "acme")


@pytest.fixture(scope="module")
def bucket() -> Iterator[Any]:
    """The file system of an empty bucket called ``photos``."""
    server = pytest.importorskip("moto.server", reason="needs: pip install 'moto[server]'")
    s3fs = pytest.importorskip("s3fs", reason="needs the extra [s3]")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=port, verbose=False)
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")  # all that a user sets, credentials aside
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        system = s3fs.S3FileSystem()
        system.mkdir("photos")
        yield system
    running.stop()


@pytest.fixture
def pictures(bucket: Any) -> Iterator[Any]:
    """Two pictures below ``s3://photos/in``; the bucket is emptied again."""
    import io

    from PIL import Image

    for seed, name in enumerate(("a.png", "deep/b c.jpg")):
        content = io.BytesIO()
        Image.fromarray(smooth_picture(seed=seed)).save(content, "PNG" if name == "a.png" else "JPEG")
        bucket.pipe_file(f"photos/in/{name}", content.getvalue())
    yield bucket
    bucket.rm("photos/in", recursive=True)
    if bucket.exists("photos/out"):
        bucket.rm("photos/out", recursive=True)


@pytest.mark.filterwarnings("default")
class TestS3:
    def test_a_folder_is_marked_resumed_and_read(self, run: Run, pictures: Any) -> None:
        command = ("embed", "s3://photos/in", *MARK, "--out-dir", "s3://photos/out", "--json")
        first = run(*command)
        assert first.exit_code == 0, first.stderr
        assert [one["output"] for one in objects(first)] == ["s3://photos/out/a.png", "s3://photos/out/deep/b c.jpg"]
        lines = [json.loads(line) for line in pictures.cat_file("photos/out/manifest.jsonl").splitlines()]
        assert sorted(line["path"] for line in lines if line["status"] == "marked") == ["a.png", "deep/b c.jpg"]
        again = run(*command, "--resume")
        assert objects(again) == objects(first) and counts(again.stderr) == (0, 2, 0)
        read = objects(run("detect", "s3://photos/out", "--json"))
        assert [one["watermarks"][0]["record"]["asset"] for one in read] == ["a", "b c"]

    def test_an_object_that_was_replaced_is_marked_again(self, run: Run, pictures: Any) -> None:
        command = ("embed", "s3://photos/in", *MARK, "--out-dir", "s3://photos/out", "--resume")
        run(*command)
        pictures.copy("photos/in/deep/b c.jpg", "photos/in/a.png")
        result = run(*command, "--json")
        assert counts(result.stderr) == (1, 1, 0)
        assert objects(result)[0]["notes"][-1].startswith("replaced an earlier output, which had wm:")

    def test_from_a_bucket_to_files_and_back(self, run: Run, pictures: Any) -> None:
        assert run("embed", "s3://photos/in", *MARK, "--out-dir", "here").exit_code == 0
        assert run("embed", "here/a.png", *MARK, "-o", "s3://photos/out/x.xyz").exit_code == 2
        assert run("detect", "here").exit_code == 0
        pictures.put("here/", "photos/out/", recursive=True)
        assert run("detect", "s3://photos/out").exit_code == 0

    @pytest.mark.parametrize("place", ["s3://photos/in/none.png", "s3://nowhere/a.png"])
    def test_what_is_not_there_is_one_line(self, run: Run, pictures: Any, place: str) -> None:
        result = run("detect", place)
        assert result.exit_code == 2
        assert error_line(result).startswith(f"{place}: expected a readable file, found")

    def test_a_bucket_that_is_not_there_cannot_be_written(self, run: Run, pictures: Any) -> None:
        result = run("embed", "s3://photos/in", *MARK, "--out-dir", "s3://nowhere/out")
        assert result.exit_code == 2 and not pictures.exists("nowhere")
        assert error_line(result).startswith("s3://nowhere/out/manifest.jsonl: expected a place that can be written")
