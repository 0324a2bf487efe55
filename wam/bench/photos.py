"""Image sets of the bench: the packaged photos or any folder, as tensors at the size that is measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib import resources
from pathlib import Path

from torch import Tensor

from wam.errors import ImageError
from wam.pictures.files import expand_inputs, read_image, require_size
from wam.signal.filters import resize, rounded, sized
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.watermarker import to_batch

PACKAGED = "packaged"
PACKAGED_SIZE = 512  # pixels: short side the packaged photos are reduced to, so that the whole suite takes minutes
_CACHED = 8  # photos kept decoded in a process


def round_to_bytes(images: Tensor) -> Tensor:
    """What an 8-bit file keeps of (..., H, W) float in [0, 1]."""
    return rounded(images.clamp(0, 1))


@dataclass(frozen=True)
class ImageSet:
    """Photos in order. ``name`` for people; ``paths`` of the files; ``size`` short side in pixels to which larger ones
    are reduced, None for as they are; ``root`` folder that is left out of the names."""

    name: str
    paths: tuple[Path, ...]
    size: int | None
    root: Path

    @classmethod
    def packaged(cls, *, size: int | None = PACKAGED_SIZE) -> ImageSet:
        """The sample photos inside the package."""
        root = Path(str(resources.files("wam"))) / "samples"
        return cls(PACKAGED, tuple(sorted(root.glob("*.jpg"))), size, root)

    @classmethod
    def of(cls, inputs: Sequence[str], *, size: int | None = None) -> ImageSet:
        """The pictures of files and folders; raises ``ImageError`` if there are none."""
        paths = [Path(path) for path in expand_inputs(inputs)]
        if not any(path.is_file() for path in paths):
            raise ImageError.about(inputs[0], expected="pictures", found="none", remedy="name a folder with some")
        root = Path(inputs[0]) if len(inputs) == 1 and Path(inputs[0]).is_dir() else Path()
        return cls(", ".join(inputs), tuple(paths), size, root)

    def __len__(self) -> int:
        return len(self.paths)

    @cached_property
    def digest(self) -> str:
        """8 hex digits that stand for the files' names and contents and for the size."""
        total = hashlib.sha256(str(self.size).encode())
        for number, path in enumerate(self.paths):
            total.update(self.photo_name(number).encode("utf-8", "backslashreplace"))
            total.update(hashlib.sha256(path.read_bytes()).digest() if path.is_file() else b"missing")
        return total.hexdigest()[:8]

    def photo_name(self, number: int) -> str:
        """The file's name below the folder that was given."""
        path = self.paths[number % len(self)]
        return path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else path.as_posix()

    def photo(self, number: int) -> Tensor:
        """(1, 3, H, W) float32 in [0, 1], 8-bit values; numbers wrap around. Raises ``ImageError``."""
        path = self.paths[number % len(self)]
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        return _read(path, path.resolve(), changed, self.size)

    def readable(self, number: int) -> int:
        """The first number from this one on whose photo can be read; raises ``ImageError`` if none can."""
        for candidate in range(number, number + len(self)):
            try:
                self.photo(candidate)
            except ImageError:
                continue
            return candidate % len(self)
        raise ImageError.about(self.name, expected="a picture that can be read", found="none", remedy="name others")

    def describe(self) -> str:
        """One phrase for the captions."""
        scaled = "native size" if self.size is None else f"short side at most {self.size} px"
        return f"{self.name} ({len(self)} photos, {scaled}, {self.digest})"


@lru_cache(maxsize=_CACHED)
def _read(path: Path, place: Path, changed: int, size: int | None) -> Tensor:
    """The photo; the file's ``place`` and time of change are there for the cache to tell files apart."""
    picture = read_image(path)
    require_size(picture, SMALLEST_SIDE)
    batch = to_batch(picture.pixels)
    height, width = batch.shape[-2:]
    if size is not None and min(height, width) > size:
        batch = round_to_bytes(resize(batch, sized(height, width, size)))
    return batch
