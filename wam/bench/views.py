"""From a row to the picture that is read: marks, attacks and their ground truth, each from its own seed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from attacks import Recipe, composite
from wam.bench.contenders import Contender
from wam.bench.photos import ImageSet, round_to_bytes
from wam.bench.rows import UNMARKED, WRONG_KEY, Row
from wam.bench.words import WordBook, seed_of
from wam.networks.strength import Amount
from wam.signal.filters import resize, sized

CANVAS = 2.25  # area of a composite's background in areas of its first photo, for up to three
ROOM = 0.9  # the same for each photo, for more
_KEPT = 24  # marked photos kept in a process


@dataclass(frozen=True, eq=False)
class View:
    """What is read in one row: ``image`` (1, 3, h, w) float in [0, 1], 8-bit values; ``truths`` (n, h, w) bool and
    ``words`` of its n marks; ``other_key``: it is to be read with another key."""

    image: Tensor
    truths: Tensor
    words: tuple[int, ...]
    other_key: bool = False


class Stage:
    """Photos, one contender at one strength, and the words it embeds."""

    def __init__(self, images: ImageSet, contender: Contender, book: WordBook, *, seed: int, strength: Amount) -> None:
        self.images = images
        self.contender = contender
        self.book = book
        self.seed = seed
        self.strength = strength
        self.marked = lru_cache(maxsize=_KEPT)(self._mark)

    def _mark(self, photo: int, mark: int = 0) -> Tensor:
        """(1, 3, H, W): a photo with one of its words, as an 8-bit file keeps it."""
        original = self.images.photo(photo)
        bits = self.book.bits(photo, mark)
        return round_to_bytes(self.contender.embed(original, bits, strength=self.strength))

    def view(self, row: Row, photo: int) -> View:
        """The picture of one row for one photo; the same seed gives the same picture."""
        seed = seed_of(self.seed, self.images.photo_name(photo), row.name)
        if row.recipe is not None:
            return self._scene(row.recipe, photo, torch.Generator().manual_seed(seed))
        assert row.attack is not None
        original = self.images.photo(photo)
        if row.null == UNMARKED:
            image = row.attack(original, seed=seed, originals=original, backgrounds=self._foreign(photo)).images
            return View(round_to_bytes(image), torch.zeros(0, *image.shape[-2:], dtype=torch.bool), ())
        result = row.attack(
            self.marked(photo),
            torch.ones_like(original[:, :1]),
            seed=seed,
            originals=original,
            backgrounds=self._foreign(photo),
        )
        image = round_to_bytes(result.images)
        assert result.masks is not None
        if row.null == WRONG_KEY:
            return View(image, torch.zeros(0, *image.shape[-2:], dtype=torch.bool), (), other_key=True)
        return View(image, result.masks[0] > 0.5, (self.book.word(photo),))

    def _foreign(self, photo: int) -> Tensor:
        """The next photo that can be read; a photo alone is mirrored."""
        other = self.images.readable(photo + 1)
        return self.images.photo(other) if other != photo % len(self.images) else self.images.photo(photo).flip(3)

    def _scene(self, recipe: Recipe, photo: int, generator: torch.Generator) -> View:
        if recipe.pasted:
            numbers = [(self.images.readable(photo + index), index) for index in range(recipe.count)]
            background = self._foreign(photo + recipe.count - 1)
            areas = max(CANVAS, ROOM * recipe.count)
            background = _enlarged(background, areas * self.images.photo(photo)[0, 0].numel())
        else:
            numbers = [(photo, index) for index in range(recipe.count)]
            background = self.images.photo(photo)
        marked = [self.marked(*number)[0] for number in numbers]
        scene = composite(recipe, marked, background[0], generator=generator)
        words = tuple(self.book.word(*number) for number in numbers)
        return View(round_to_bytes(scene.image[None]), scene.masks > 0.5, words)


def _enlarged(photo: Tensor, pixels: float) -> Tensor:
    """(1, 3, H, W) scaled to about so many pixels."""
    height, width = photo.shape[-2:]
    return resize(photo, sized(height, width, min(height, width) * (pixels / (height * width)) ** 0.5))
