"""How often reading a picture waits for a device: host-device round trips, counted where no device is had.

    python scripts/device_waits.py

On a device each of these stops the host until all that was asked for is done: a number, truth value or list taken from
a tensor, a tensor brought to the CPU or to NumPy, and shapes that depend on values (``nonzero``, ``unique``,
``masked_select``, an index of truth values). They are counted on the CPU; where the code chooses otherwise on a device,
the count there may differ by some. Pictures: a sample photo of a megapixel as it is, the same marked, and four marked
ones on a page of two megapixels. About a minute of CPU time.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from wam.watermarker import Watermarker, load  # noqa: E402

BITS = "01101001" * 4
MOVES = {Tensor.cpu: "cpu", Tensor.tolist: "tolist", Tensor.numpy: "numpy"}
NUMBERS = {"_local_scalar_dense", "item", "is_nonzero", "equal", "allclose"}  # or truth values: one wait each
SHAPES = {"nonzero", "_unique2", "unique_dim", "unique_consecutive", "masked_select"}  # that depend on values


class _Dispatched(TorchDispatchMode):
    """Counts numbers that are taken from tensors, and shapes that depend on values."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.counts = counts

    def __torch_dispatch__(
        self, function: Any, types: Any, arguments: Sequence[Any] = (), options: Mapping[str, Any] | None = None
    ) -> Any:
        name = function.overloadpacket.__name__
        if name in NUMBERS:
            self.counts["number"] += 1
        elif name in SHAPES:
            self.counts[name] += 1
        elif name in ("index", "index_put", "index_put_") and any(
            isinstance(one, Tensor) and one.dtype == torch.bool for one in arguments[1]
        ):
            self.counts["index of truth values"] += 1
        return function(*arguments, **(options or {}))


class _Called(TorchFunctionMode):
    """Counts tensors that are brought to the host."""

    def __init__(self, counts: Counter[str]) -> None:
        super().__init__()
        self.counts = counts

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        if function in MOVES:
            self.counts[MOVES[function]] += 1
        return function(*arguments, **(options or {}))


def waits(call: Callable[[], object]) -> Counter[str]:
    """What waits there are in a call, by kind; a tensor that is brought over and made an array of is one wait."""
    counts: Counter[str] = Counter()
    with _Called(counts), _Dispatched(counts):
        call()
    counts["numpy"] = max(0, counts["numpy"] - counts["cpu"])
    return +counts


def pictures(marker: Watermarker) -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    """The pictures that are read, by name."""
    paths = sorted((ROOT / "wam" / "samples").glob("*.jpg"))
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in paths[:5]]
    marked = [np.asarray(marker.embed(photo, BITS).image) for photo in photos[:4]]
    page = Image.fromarray(photos[4]).resize((1640, 1220))
    for number, one in enumerate(marked):
        piece = Image.fromarray(one)
        piece.thumbnail((640, 480))
        page.paste(piece, (60 + 800 * (number % 2), 60 + 580 * (number // 2)))
    return {"unmarked": photos[1], "marked": marked[1], "four on a page": np.asarray(page)}


def main() -> int:
    torch.set_num_threads(1)
    marker = load(device="cpu")
    print("| picture | pixels | marks found | round trips | kinds |\n|---|---|---|---|---|")
    for name, pixels in pictures(marker).items():
        found: list[object] = []
        counts = waits(lambda pixels=pixels, found=found: found.extend(marker.detect(pixels)))  # type: ignore[misc]
        kinds = ", ".join(f"{kind} {count}" for kind, count in counts.most_common())
        size = f"{pixels.shape[1]} x {pixels.shape[0]}"
        print(f"| {name} | {size} | {len(found)} | {counts.total()} | {kinds} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
