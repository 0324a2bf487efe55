"""A store without an end: ``endless://photos`` holds pictures and a folder, which holds the same, and so on."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import fsspec
from fsspec.spec import AbstractFileSystem
from PIL import Image

from tests.wam.synthetic import smooth_picture

PICTURES = 3  # of each folder


class EndlessStore(AbstractFileSystem):
    """Counts the folders that were ``listed``."""

    protocol = "endless"
    cachable = False
    listed = 0

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return path.removeprefix("endless://").rstrip("/")

    def isdir(self, path: str) -> bool:
        return not path.endswith(".png")

    def ls(self, path: str, detail: bool = True, **_: Any) -> list[Any]:
        EndlessStore.listed += 1
        files = [{"name": f"{path}/{number}.png", "type": "file", "size": 1} for number in range(PICTURES)]
        found = [*files, {"name": f"{path}/more", "type": "directory", "size": 0}]
        return found if detail else [one["name"] for one in found]

    def info(self, path: str, **_: Any) -> dict[str, Any]:
        return {"name": path, "type": "file" if path.endswith(".png") else "directory", "size": 1, "ETag": path}

    def _open(self, path: str, mode: str = "rb", **_: Any) -> io.BytesIO:
        content = io.BytesIO()
        Image.fromarray(smooth_picture()).save(content, "PNG")
        return io.BytesIO(content.getvalue())


@contextmanager
def endless_store() -> Iterator[type[EndlessStore]]:
    """The store behind ``endless://``, nothing of it listed yet."""
    EndlessStore.listed = 0
    fsspec.register_implementation("endless", EndlessStore, clobber=True)
    yield EndlessStore
