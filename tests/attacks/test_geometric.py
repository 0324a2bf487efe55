"""Positions against Pillow, SciPy, NumPy and torchvision."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torchvision.transforms import InterpolationMode, RandomPerspective
from torchvision.transforms import functional as TF

from attacks import parse


def picture(photos: Tensor) -> Image.Image:
    return Image.fromarray((photos[0] * 255).round().byte().permute(1, 2, 0).numpy())


def values(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1) / 255


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ("resize=0.32", (20, 15)),
        ("resize=1.5", (96, 72)),
        ("aspect=0.8", (51, 48)),
        ("aspect=1.25", (80, 48)),
        ("thumbnail=30", (40, 30)),
        ("fit=32", (32, 24)),
    ],
)
def test_scaling_agrees_with_pillow(spec: str, size: tuple[int, int], photos: Tensor) -> None:
    expected = values(picture(photos).resize(size, Image.Resampling.BILINEAR))
    found = parse(spec)(photos).images[0]
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < 1.5 / 255  # Pillow rounds after each of two passes


@pytest.mark.parametrize("degrees", [5, 10, 30, 45, -10])
def test_rotation_agrees_with_scipy(degrees: float, photos: Tensor) -> None:
    found = parse(f"rotate={degrees}")(photos).images.numpy()
    expected = ndimage.rotate(photos.numpy(), degrees, axes=(3, 2), reshape=False, order=1, mode="grid-constant")
    assert np.allclose(found, expected, atol=2e-3)


def test_rotation_agrees_with_pillow(photos: Tensor) -> None:
    expected = values(picture(photos).rotate(10, Image.Resampling.BILINEAR))
    found = parse("rotate=10")(photos).images[0]
    assert (found - expected).abs().median() < 1 / 255
    assert (found[:, 10:38, 12:52] - expected[:, 10:38, 12:52]).abs().max() < 2 / 255


def test_quarter_and_half_turns_are_exact(photos: Tensor) -> None:
    square = photos[:, :, :, :48]
    quarter = parse("rotate=90")(square).images
    assert torch.allclose(quarter, torch.rot90(square, 1, (2, 3)), atol=1e-4)
    half = parse("rotate=180")(photos).images
    assert torch.allclose(half, photos.flip(2, 3), atol=1e-4)


def test_flips_agree_with_numpy(photos: Tensor) -> None:
    array = photos.numpy()
    assert np.array_equal(parse("hflip")(photos).images.numpy(), array[:, :, :, ::-1])
    assert np.array_equal(parse("vflip")(photos).images.numpy(), array[:, :, ::-1])


def coefficients(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The eight numbers of Pillow's PERSPECTIVE, from target to source pixel corners."""
    rows, known = [], []
    for (x, y), (u, v) in zip(target, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
        known += [u, v]
    return np.linalg.solve(np.array(rows, dtype=float), np.array(known, dtype=float))


def test_perspective_agrees_with_pillow(photos: Tensor) -> None:
    attack = parse("perspective=0.5")
    params = attack.sample(2, torch.Generator().manual_seed(2))
    steps = np.floor(params["corners"][0].numpy() * (np.array([16, 12]) + 1))
    source = np.array([[0, 0], [63, 0], [63, 47], [0, 47]])
    target = source + steps * np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    expected = picture(photos).transform(
        (64, 48),
        Image.Transform.PERSPECTIVE,
        tuple(coefficients(source, target)),
        Image.Resampling.BILINEAR,
    )
    difference = (attack.apply(photos, params).images[0] - values(expected)).abs()
    assert difference.median() < 1 / 255
    assert difference[:, 14:34, 18:46].max() < 4 / 255


@pytest.mark.parametrize(("mode", "differ"), [("bilinear", 0.0), ("nearest", 0.005)])
def test_perspective_and_rotation_agree_with_torchvision(mode: str, differ: float, photos: Tensor) -> None:
    attack = parse("perspective=0.5")
    params = attack.sample(2, torch.Generator().manual_seed(2))
    steps = torch.floor(params["corners"] * (torch.tensor([16, 12]) + 1)).long()
    start = torch.tensor([[0, 0], [63, 0], [63, 47], [0, 47]])
    end = start + steps * torch.tensor([[1, 1], [-1, 1], [-1, -1], [1, -1]])
    reading = InterpolationMode(mode)
    warped = [
        TF.perspective(photo, start.tolist(), points.tolist(), reading)
        for photo, points in zip(photos, end, strict=True)
    ]
    turned = TF.rotate(photos, 30, reading)
    for spec, given, expected in [(attack, params, torch.stack(warped)), (parse("rotate=30"), {}, turned)]:
        result = spec.apply(photos, given, photos)
        found = result.images if mode == "bilinear" else result.masks
        assert found is not None
        assert ((found - expected).abs() > 2e-4).float().mean() <= differ  # ties round either way


def test_perspective_may_leave_one_image_of_a_batch(photos: Tensor) -> None:
    corners = torch.stack([torch.zeros(4, 2), torch.full((4, 2), 0.9)]).double()
    result = parse("perspective=0.5").apply(photos, {"corners": corners}).images
    assert torch.allclose(result[0], photos[0], atol=1e-4)
    assert not torch.allclose(result[1], photos[1], atol=0.1)


def test_perspective_draws_as_torchvision() -> None:
    """The steps of the corners have the range and the mean of RandomPerspective's."""
    corners = torch.rand(4000, 4, 2, generator=torch.Generator().manual_seed(0))
    ours = torch.floor(corners * (torch.tensor([16, 12]) + 1))[:, 0]
    torch.manual_seed(0)
    draws = [RandomPerspective.get_params(64, 48, 0.5)[1][0] for _ in range(4000)]
    theirs = torch.tensor(draws).float()
    assert torch.equal(ours.amax(0), theirs.amax(0))
    assert torch.allclose(ours.mean(0), theirs.mean(0), atol=0.4)


@pytest.mark.parametrize("area", [0.1, 0.5, 0.71])
def test_crop_keep_is_a_window_of_the_image(area: float, photos: Tensor) -> None:
    windows = parse(f"crop_keep={area}")(photos, seed=1).images
    height, width = windows.shape[2:]
    assert height * width == pytest.approx(area * 48 * 64, rel=0.05)
    everywhere = photos[0].unfold(1, height, 1).unfold(2, width, 1)
    found = (everywhere == windows[0][:, None, None]).flatten(3).all(3).all(0)
    assert found.sum() == 1


def test_crop_scales_the_window_back(photos: Tensor) -> None:
    window = parse("crop_keep=0.5")(photos, seed=1).images
    array = (window[0] * 255).round().byte().permute(1, 2, 0).numpy()
    expected = values(Image.fromarray(array).resize((64, 48), Image.Resampling.BILINEAR))
    found = parse("crop=0.5")(photos, seed=1).images[0]
    assert (found - expected).abs().max() < 1.5 / 255


def test_crop_reaches_all_corners() -> None:
    ramp = torch.arange(64.0).reshape(1, 1, 8, 8).expand(200, 3, 8, 8) / 64
    corners = parse("crop_keep=0.25")(ramp, seed=0).images[:, 0, 0, 0] * 64
    rows, columns = corners // 8, corners % 8
    assert set(rows.tolist()) == set(columns.tolist()) == {0, 1, 2, 3, 4}


def test_pad_keeps_the_image_on_black(photos: Tensor) -> None:
    result = parse("pad=0.5")(photos, torch.ones(2, 1, 48, 64), seed=1)
    assert result.images.shape == (2, 3, 72, 96)
    assert result.masks is not None
    inside = result.masks[0, 0] > 0
    assert torch.equal(result.images[0][:, inside].reshape(3, 48, 64), photos[0])
    assert result.images[0][:, ~inside].max() == 0
