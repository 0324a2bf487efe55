"""Values against Pillow, SciPy, NumPy and the standard library."""

import colorsys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from scipy import ndimage
from torch import Tensor
from torchvision.transforms import functional as TF

from attacks import parse

STEP = 1 / 255


def picture(photos: Tensor, index: int = 0) -> Image.Image:
    array = (photos[index] * 255).round().byte().permute(1, 2, 0).numpy()
    return Image.fromarray(array)


def values(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image.convert("RGB"))).permute(2, 0, 1) / 255


@pytest.mark.parametrize(
    ("name", "enhance"),
    [
        ("brightness", ImageEnhance.Brightness),
        ("contrast", ImageEnhance.Contrast),
        ("saturation", ImageEnhance.Color),
        ("sharpness", ImageEnhance.Sharpness),
    ],
)
@pytest.mark.parametrize("factor", [0.5, 1.5, 2.0])
def test_adjustments_agree_with_pillow(name: str, enhance: type, factor: float, photos: Tensor) -> None:
    expected = values(enhance(picture(photos)).enhance(factor))
    found = parse(f"{name}={factor}")(photos).images[0]
    assert (found - expected).abs().max() < 3.1 * STEP  # Pillow rounds grey, mean and result
    assert (found - expected).abs().mean() < STEP


@pytest.mark.parametrize(
    ("name", "adjust"),
    [
        ("brightness", TF.adjust_brightness),
        ("contrast", TF.adjust_contrast),
        ("saturation", TF.adjust_saturation),
        ("sharpness", TF.adjust_sharpness),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.5, 2.0])
def test_adjustments_agree_with_torchvision(
    name: str, adjust: Callable[[Tensor, float], Tensor], factor: float, photos: Tensor
) -> None:
    found = parse(f"{name}={factor}")(photos).images
    assert torch.allclose(found, adjust(photos, factor), atol=2e-4)  # its luma weighs .2989, not .299, of red


@pytest.mark.parametrize("shape", [(1, 1), (2, 5), (5, 2)])
def test_sharpness_leaves_images_too_small_to_smooth(shape: tuple[int, int]) -> None:
    images = torch.rand(1, 3, *shape, generator=torch.Generator().manual_seed(1))
    assert torch.equal(parse("sharpness=2")(images).images, TF.adjust_sharpness(images, 2))


@pytest.mark.parametrize("turn", [-0.2, 0.1, 0.5])
def test_hue_agrees_with_colorsys(turn: float, photos: Tensor) -> None:
    found = parse(f"hue={turn}")(photos).images[0]
    for row, column in [(0, 0), (5, 2), (20, 30), (47, 63), (30, 10)]:
        hue, saturation, value = colorsys.rgb_to_hsv(*photos[0, :, row, column].tolist())
        expected = colorsys.hsv_to_rgb((hue + turn) % 1, saturation, value)
        assert found[:, row, column].tolist() == pytest.approx(expected, abs=1e-5)


def test_grayscale_agrees_with_pillow(photos: Tensor) -> None:
    found = parse("grayscale")(photos).images[0]
    assert (found - values(picture(photos).convert("L"))).abs().max() < 1.01 * STEP


@pytest.mark.parametrize("exponent", [0.7, 1.4])
def test_gamma_agrees_with_numpy(exponent: float, photos: Tensor) -> None:
    found = parse(f"gamma={exponent}")(photos).images
    assert np.allclose(found.numpy(), photos.numpy() ** exponent, atol=1e-6)


@pytest.mark.parametrize("kernel", [3, 9, 17])
def test_gaussian_blur_agrees_with_scipy(kernel: int, photos: Tensor) -> None:
    sigma = 0.3 * ((kernel - 1) * 0.5 - 1) + 0.8
    found = parse(f"gaussian_blur={kernel}")(photos).images
    expected = ndimage.gaussian_filter(photos.double().numpy(), (0, 0, sigma, sigma), mode="mirror", radius=kernel // 2)
    assert np.allclose(found.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("kernel", [3, 9, 17])
def test_gaussian_blur_keeps_black_and_white(kernel: int) -> None:
    images = torch.zeros(1, 3, 40, 40)
    images[:, :, :, 20:] = 1
    found = parse(f"gaussian_blur={kernel}")(images).images
    assert found.min() == 0 and 1 - 1e-6 < found.max() <= 1


@pytest.mark.parametrize("spec", ["gamma=0.7", "gamma=1.4", "gaussian_blur=9"])
def test_gradient_reaches_the_ends_of_the_range(spec: str) -> None:
    ends = torch.full((1, 3, 20, 20), 0.5)
    ends[:, :, :, :10] = 0.0 if spec.startswith("gaussian_blur") else 1.0
    images = ends.requires_grad_()
    (gradient,) = torch.autograd.grad(parse(spec)(images).images.sum(), images)
    assert (gradient > 0).all()


@pytest.mark.parametrize("kernel", [3, 5, 7, 17])
def test_median_agrees_with_scipy(kernel: int, photos: Tensor) -> None:
    found = parse(f"median={kernel}")(photos).images
    size = (1, 1, kernel, kernel)
    expected = ndimage.median_filter(photos.numpy(), size, mode="mirror")
    assert np.array_equal(found.numpy(), expected)


def test_gaussian_noise_has_the_deviation() -> None:
    grey = torch.full((2, 3, 100, 100), 0.5)
    noise = parse("gaussian_noise=0.05")(grey, seed=0).images - grey
    assert noise.std().item() == pytest.approx(0.05, rel=0.02)
    assert abs(noise.mean().item()) < 0.001
    assert abs((noise[0] * noise[1]).mean().item()) < 0.0001


@pytest.mark.parametrize("bits", [1, 4, 8])
def test_posterize_agrees_with_pillow(bits: int, photos: Tensor) -> None:
    found = parse(f"posterize={bits}")(photos).images[0]
    assert torch.allclose(found, values(ImageOps.posterize(picture(photos), bits)))
