"""Regions: per-pixel logits -> the distinct messages of a picture, each with its mask.

WAM's authors cluster the bits of all marked pixels with DBSCAN, neighbours differing in at most one bit; on pixels that
takes memory that grows with their square, and never ends on some pictures. Here the same clusters are found among the
distinct codes, whose neighbours are looked up rather than searched: the cost is linear in the pixels (times 33), it
always ends, and the result does not depend on any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from wam.signal.specification import BITS

LEAST = 1000  # pixels of 256 x 256 that a message needs: min_samples of the paper's experiments (fig. 5)
ALIKE = 2  # bits: clusters that differ in no more are one message; words differ in at least six
STRAY = 8  # bits by which a pixel may differ from its message; by chance one in 280 does not differ in more
AROUND = 15  # pixels: side of the window that decides where pixels belong that read like no message

Codes = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Part:
    """One message: ``logits`` (32,) mean over its pixels, ``mask`` (h, w) bool."""

    logits: Tensor
    mask: Tensor


def split_messages(logits: Tensor, *, least: int = LEAST) -> list[Part]:
    """The messages in (33, h, w) logits, largest first; channel 0 is the mask, positive where marked.

    What no cluster explains is read as one more message if it is most of the mask, as WAM reads a picture that carries
    a single mark.
    """
    logits = logits.float().cpu()
    marked = logits[0] > 0
    if int(marked.sum()) < least:
        return []
    bits = logits[1:, marked].T > 0
    centres = find_centres(pack(bits), least=least)
    labels = torch.full(marked.shape, -1)
    labels[marked] = _nearest(bits, centres)
    labels = _settle(labels, marked, len(centres))
    rest = marked & (labels < 0)
    if int(rest.sum()) >= max(least, int(marked.sum()) / 2):
        labels[rest] = len(centres)
    masks = [labels == label for label in range(len(centres) + 1)]
    parts = [Part(logits[1:, mask].mean(1), mask) for mask in masks if int(mask.sum()) >= least]
    return sorted(parts, key=lambda part: -int(part.mask.sum()))


def pack(bits: Tensor) -> Codes:
    """(N, 32) bool -> (N,) codes, the first bit lowest."""
    weights = torch.ones(BITS, dtype=torch.int64) << torch.arange(BITS)
    return (bits.long() * weights).sum(1).numpy()


def unpack(codes: Codes) -> Tensor:
    """(N,) codes -> (N, 32) bool."""
    return (torch.from_numpy(codes)[:, None] >> torch.arange(BITS) & 1).bool()


def find_centres(codes: Codes, *, least: int) -> Tensor:
    """The message of each cluster of (N,) codes, by majority of its core points: (K, 32) bool, heaviest first.

    Core points and their clusters are those of DBSCAN (Ester et al., 1996) with eps one bit and min_samples ``least``.
    """
    unique, counts = np.unique(codes, return_counts=True)
    neighbours = [_find(unique, unique ^ np.int64(1 << bit)) for bit in range(BITS)]
    weight = counts + sum(np.where(near >= 0, counts[near], 0) for near in neighbours)
    core = weight >= least
    pairs = [np.stack([np.flatnonzero(both), near[both]]) for near, both in _core_pairs(neighbours, core)]
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(rows), np.int8), (rows, columns)), shape=(len(unique), len(unique)))
    labels = connected_components(graph, directed=False)[1]
    bits, votes = unpack(unique).double(), torch.from_numpy(counts * core).double()
    clusters = []
    for label in np.unique(labels[core]):
        own = votes * torch.from_numpy(labels == label)
        clusters.append((float(own.sum()), (own @ bits) > own.sum() / 2))
    centres: list[Tensor] = []
    for _, centre in sorted(clusters, key=lambda cluster: -cluster[0]):
        if all(int((centre != other).sum()) > ALIKE for other in centres):
            centres.append(centre)
    return torch.stack(centres) if centres else torch.zeros(0, BITS, dtype=torch.bool)


def _core_pairs(neighbours: list[Codes], core: NDArray[np.bool_]) -> list[tuple[Codes, NDArray[np.bool_]]]:
    """For each bit, the neighbours and where both ends are core points."""
    return [(near, core & (near >= 0) & core[near]) for near in neighbours]


def _find(unique: Codes, wanted: Codes) -> Codes:
    """Indices of codes in the sorted distinct ones, -1 where there is none."""
    place = np.searchsorted(unique, wanted).clip(max=len(unique) - 1)
    return np.where(unique[place] == wanted, place, -1)


def _nearest(bits: Tensor, centres: Tensor) -> Tensor:
    """Index of the nearest message of each pixel (N, 32), -1 where none is near: -> (N,)."""
    if not len(centres):
        return torch.full((len(bits),), -1)
    signs, messages = bits.float() * 2 - 1, centres.float() * 2 - 1
    agreement, label = (signs @ messages.T).max(1)
    return torch.where((BITS - agreement) / 2 <= STRAY, label, -1)


def _settle(labels: Tensor, marked: Tensor, count: int) -> Tensor:
    """Gives marked pixels without a message to the one that most of their surroundings have."""
    if not count:
        return labels
    own = torch.stack([labels == label for label in range(count)]).float()
    share, label = F.avg_pool2d(own, AROUND, stride=1, padding=AROUND // 2, count_include_pad=False).max(0)
    return torch.where(marked & (labels < 0) & (share > 0.5), label, labels)
