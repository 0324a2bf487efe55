"""What the bench gives an adversary: other pictures with the mark, the extractor, the detector's answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import torch
from torch import Tensor

from wam.bench.contenders import Contender
from wam.bench.photos import ImageSet, round_to_bytes
from wam.bench.view import View
from wam.bench.words import WordBook, seed_of
from wam.networks.strength import Amount
from wam.signal.filters import sized
from wam.signal.mark_grid import SMALLEST_SIDE
from wam.signal.specification import HIGHEST, LOWEST, TILE, WORKING_SIDE

COMMON = 0  # photo whose word all pictures carry where an adversary has several with one mark
_KEPT = 128  # marked pictures kept in a process, as bytes
_SHARES = (0.55, 0.95)  # of the sides of a photo that its further pictures show


class MarkedPictures:
    """Pictures that carry one word: the photos of a set, then parts of them, each marked for itself."""

    def __init__(
        self, images: ImageSet, contender: Contender, book: WordBook, *, seed: int, strength: Amount, keyed: bool
    ) -> None:
        self.images = images
        self.seed = seed
        self._embed = contender.embed_with_other_key if keyed else contender.embed
        self._bits, self._strength = book.bits(COMMON), strength
        self._kept = lru_cache(maxsize=_KEPT)(self._mark)

    def marked(self, photo: int, part: int = 0) -> Tensor:
        """(1, 3, H, W): a whole photo, or one of its parts, marked as a picture of its own."""
        return self._kept(photo, part).float() / 255

    def besides(self, photo: int, count: int) -> Iterator[Tensor]:
        """So many, none of them of this photo, unless it is the only one."""
        total = len(self.images)
        others = list(dict.fromkeys(self.images.readable(photo + step) for step in range(1, total)))
        others = [other for other in others if other != photo] or [photo]
        for number in range(count):
            round_, place = divmod(number, len(others))
            yield self.marked(others[place], round_ + (others == [photo]))

    def _mark(self, photo: int, part: int) -> Tensor:
        picture = self.images.photo(photo)
        if part:
            picture = _part(picture, seed_of(self.seed, self.images.photo_name(photo), part))
        marked = round_to_bytes(self._embed(picture, self._bits, strength=self._strength))
        return (marked * 255).round().byte()


def _part(picture: Tensor, seed: int) -> Tensor:
    """A window of a picture, mirrored or not."""
    height, width = picture.shape[-2:]
    share, top, left, mirrored = torch.rand(4, generator=torch.Generator().manual_seed(seed)).tolist()
    share = _SHARES[0] + (_SHARES[1] - _SHARES[0]) * share
    rows, columns = (min(side, max(SMALLEST_SIDE, round(side * share))) for side in (height, width))
    y, x = round(top * (height - rows)), round(left * (width - columns))
    window = picture[..., y : y + rows, x : x + columns]
    return window.flip(3) if mirrored < 0.5 else window


class BenchMeans:
    """``attacks.Means`` for one photo of one contender."""

    tile = TILE
    band = (LOWEST, HIGHEST)

    def __init__(
        self,
        contender: Contender,
        *,
        keyed: bool,
        others: Callable[[int], Iterator[Tensor]],
        original: Tensor,
        target: Tensor,
        view: Callable[[Tensor], View],
        found: Callable[[View], bool],
        other_bits: str,
        strength: Amount,
    ) -> None:
        self._contender, self._keyed = contender, keyed
        self._others, self._original, self._target = others, original, target
        self._view, self._found = view, found
        self._other_bits, self._strength = other_bits, strength

    def steps(self, height: int, width: int) -> tuple[float, float]:
        working = sized(height, width, min(WORKING_SIDE, height, width))
        return working[0] / height, working[1] / width

    def others(self, count: int) -> Iterator[Tensor]:
        return self._others(count)

    def original(self) -> Tensor:
        return self._original

    def target(self) -> Tensor:
        return self._target

    def estimate(self, image: Tensor) -> Tensor:
        return self._contender.estimate(image)

    def is_marked(self, image: Tensor) -> bool:
        return self._found(self._view(image))

    def mark(self, image: Tensor) -> Tensor:
        embed = self._contender.embed if self._keyed else self._contender.embed_with_other_key
        return round_to_bytes(embed(image, self._other_bits, strength=self._strength))
