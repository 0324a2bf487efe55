"""From a row to the picture that is read: marks, attacks and their ground truth, each from its own seed."""

from __future__ import annotations

import time
from functools import lru_cache

import torch
from torch import Tensor

from attacks import Recipe, composite
from wam.bench.adversary_means import COMMON, BenchMeans, MarkedPictures
from wam.bench.contenders import Contender
from wam.bench.judge import judge
from wam.bench.photos import ImageSet, round_to_bytes
from wam.bench.rows import KEYED, UNMARKED, WRONG_KEY, Row
from wam.bench.view import Price, View
from wam.bench.words import WordBook, seed_of
from wam.networks.strength import Amount
from wam.signal.filters import resize, sized

CANVAS = 2.25  # area of a composite's background in areas of its first photo, for up to three
ROOM = 0.9  # the same for each photo, for more
MOVING = ("crop", "crop_keep", "pad", "rotate", "hflip", "vflip", "perspective")  # pixels are elsewhere afterwards
_KEPT = 24  # marked photos kept in a process


class Stage:
    """Photos, one contender at one strength, and the words it embeds."""

    def __init__(self, images: ImageSet, contender: Contender, book: WordBook, *, seed: int, strength: Amount) -> None:
        self.images = images
        self.contender = contender
        self.book = book
        self.seed = seed
        self.strength = strength
        self.marked = lru_cache(maxsize=_KEPT)(self._mark)
        self._alike = {
            keyed: MarkedPictures(images, contender, book, seed=seed, strength=strength, keyed=keyed)
            for keyed in (False, True)
        }

    def _mark(self, photo: int, mark: int = 0) -> Tensor:
        """(1, 3, H, W): a photo with one of its words, as an 8-bit file keeps it."""
        original = self.images.photo(photo)
        bits = self.book.bits(photo, mark)
        return round_to_bytes(self.contender.embed(original, bits, strength=self.strength))

    def view(self, row: Row, photo: int) -> View:
        """The picture of one row for one photo; the same seed gives the same picture."""
        seed = seed_of(self.seed, self.images.photo_name(photo), row.name)
        if row.foe is not None:
            return self._attacked(row, photo, seed)
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

    def _attacked(self, row: Row, photo: int, seed: int) -> View:
        """A marked photo as an adversary leaves it, or a photo that they forged its mark onto."""
        keyed = row.foe == KEYED
        several = row.adversary is not None and "others" in row.adversary.needs
        word_of = COMMON if several else photo
        if several:
            marked = self._alike[keyed].marked(photo)
        elif keyed:
            bits = self.book.bits(photo)
            own = self.contender.embed_with_other_key(self.images.photo(photo), bits, strength=self.strength)
            marked = round_to_bytes(own)
        else:
            marked = self.marked(photo)
        word = self.book.word(word_of)

        def seen(image: Tensor, price: Price | None = None, truth: Tensor | None = None) -> View:
            whole = torch.ones(1, *image.shape[-2:], dtype=torch.bool)
            return View(image, whole if truth is None else truth, (word,), keyed, price)

        started = time.perf_counter()
        if row.adversary is None:
            assert row.attack is not None
            masks = torch.ones_like(marked[:, :1])
            result = row.attack(marked, masks, seed=seed, originals=None, backgrounds=self._foreign(photo))
            moved = any(row.attack.applies(name) for name in MOVING)
            price = Price("remove", None if moved else marked, 0, time.perf_counter() - started)
            assert result.masks is not None
            return seen(round_to_bytes(result.images), price, result.masks[0] > 0.5)
        means = BenchMeans(
            self.contender,
            keyed=keyed,
            others=lambda count: self._alike[keyed].besides(photo, count),
            original=self.images.photo(photo),
            target=self._foreign(photo),
            view=seen,
            found=self._still_marked,
            other_bits=self.book.bits(photo, 1),
            strength=self.strength,
        )
        outcome = row.adversary.attack(marked, means)
        price = Price(row.adversary.aim, outcome.reference, outcome.queries, time.perf_counter() - started)
        return seen(outcome.image, price)

    def _still_marked(self, view: View) -> bool:
        """What a detector says whose only answer is whether a picture carries a mark."""
        read = self.contender.read_with_other_key if view.other_key else self.contender.read
        found = judge(view, read(view.image), self.book, decides=self.contender.decides)
        return any(mark.record or bool(mark.found) for mark in found.marks)

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
