"""Many copies of one picture, each with a word of its own: what is the same for all of them is done once.

That is all that the picture alone decides: what it hides, the trial from which strength and balance of a mark follow
(``wam.networks.strength_trial``), and the look for earlier marks. Every copy is encoded and read back: at the pose of a
picture as it was marked, where a search looks first. If it is not read there far more surely than it has to be, or the
picture carries an earlier mark, it is searched for and marked more strongly as any other picture is.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from payload import bits_from_word
from wam.networks.strength import Amount
from wam.pictures.samples import Picture
from wam.pipeline.loaded import Loaded
from wam.pipeline.mark_link import LinkMarking, Own
from wam.pipeline.marking import Request
from wam.signal.label import Label
from wam.stages import tell
from wam.watermarker import Detection, ForMany, Watermarker

CLEAR = 6.0  # log10 of the chance by which a copy has to be surer than other pictures not to be searched


class _Shared:
    """What is known of the picture that was marked last: safe for threads, which wait until it is known."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.picture: Picture | None = None
        self.ready: dict[tuple[Label | None, Amount], ForMany] = {}
        self.earlier: dict[Watermarker, list[Detection]] = {}

    def of(self, picture: Picture) -> _Shared:
        """The same, emptied where it was of another picture; within the lock."""
        if self.picture is not picture:
            self.picture, self.ready, self.earlier = picture, {}, {}
        return self


@dataclass(frozen=True)
class CopiesMarking(LinkMarking):
    """The ``Marking`` of link mode for pictures that come many times in a row, as one ``Picture`` object. Frames of
    animations are marked one by one, as in other runs. It stays in its process."""

    shared: _Shared = field(default_factory=_Shared, repr=False, compare=False)

    def draw(
        self, marker: Watermarker, requests: Sequence[Request], plans: Sequence[int], *, strength: Amount
    ) -> list[NDArray[np.uint8]]:
        """See ``Marking.draw``."""
        if any(request.loaded.animation is not None for request in requests):
            return super().draw(marker, requests, plans, strength=strength)
        tell("marking")
        return [
            self._ready(marker, request, strength)(bits_from_word(word))
            for request, word in zip(requests, plans, strict=True)
        ]

    def earlier(self, reader: Watermarker, loaded: Loaded) -> list[Detection]:
        """See ``LinkMarking.earlier``; once for a reader, as a run may open a generation whose label is read too."""
        with self.shared.lock:
            known = self.shared.of(loaded.picture).earlier
            if reader not in known:
                known[reader] = super().earlier(reader, loaded)
            return known[reader]

    def look(
        self, marker: Watermarker, reader: Watermarker, mark: Own, saved: Picture, *, over: bool
    ) -> list[Detection]:
        """See ``LinkMarking.look``."""
        found = None if over else marker.marking_as(mark.label).read_whole(saved.pixels)
        if found is not None and mark.is_sure([found], marker.model.description.present - CLEAR):
            return [found]
        return super().look(marker, reader, mark, saved, over=over)

    def _ready(self, marker: Watermarker, request: Request, strength: Amount) -> ForMany:
        """What marks the picture of a request."""
        picture = request.loaded.picture
        with self.shared.lock:
            ready, key = self.shared.of(picture).ready, (request.label, strength)
            if key not in ready:
                ready[key] = marker.marking_as(request.label).for_many(picture.pixels, strength=strength)
            return ready[key]
