"""Degradations for training: the suite's own, each picture of a batch at a strength of its own."""

import numpy as np
import pytest
import torch
from torch import Tensor

from attacks import compression, parse
from attacks.training import CHOICES, bilateral, defocus, degrade, degrade_batch, denoised, jpeg, motion, resized

BY_NAME = {choice.name: choice for choice in CHOICES}
FREE = torch.tensor([0.2, 0.7])


def degraded(name: str, images: Tensor, *strengths: float) -> Tensor:
    return BY_NAME[name].function(images, torch.tensor(strengths), FREE[: len(images)])


@pytest.mark.parametrize(
    ("name", "strengths", "specs"),
    [
        ("webp", (71.6, 20.0), ("webp=72", "webp=20")),
        ("median", (4.2, 5.9), ("median=3", "median=5")),
        ("brightness", (1.37, 0.5), ("brightness=1.37", "brightness=0.5")),
        ("contrast", (0.61, 1.9), ("contrast=0.61", "contrast=1.9")),
        ("gamma", (1.21, 0.7), ("gamma=1.21", "gamma=0.7")),
        ("colour", (0.1, -0.2), ("hue=0.1,saturation=1.2", "hue=-0.2,saturation=0.6")),
        ("grayscale", (0.3, 0.4), ("grayscale", "grayscale")),
        ("sharpness", (2.5, 1.4), ("sharpness=2.5", "sharpness=1.4")),
        ("posterize", (4.4, 2.0), ("posterize=4", "posterize=6")),
    ],
)
def test_a_batch_is_degraded_as_the_suite_does_one_by_one(
    name: str, strengths: tuple[float, float], specs: tuple[str, str], photos: Tensor
) -> None:
    together = degraded(name, photos, *strengths).clamp(0, 1)
    one_by_one = [parse(spec)(photo[None]).images.clamp(0, 1) for photo, spec in zip(photos, specs, strict=True)]
    torch.testing.assert_close(together, torch.cat(one_by_one), atol=1e-5, rtol=0)


@pytest.mark.parametrize("quality", [20, 50, 75, 95])
def test_jpeg_is_that_of_the_library_but_for_rare_roundings(quality: int, photos: Tensor) -> None:
    apart = (jpeg(photos, torch.full((2,), float(quality))) - compression.jpeg(photos, quality)).abs() * 255
    changed = (photos - compression.jpeg(photos, quality)).abs() * 255
    assert float(apart.mean()) < 0.7 and float(apart.mean()) < 0.25 * float(changed.mean())


def test_each_picture_has_its_own_quality_of_jpeg(photos: Tensor) -> None:
    both = jpeg(photos, torch.tensor([20.0, 90.0]))
    apart = [jpeg(photo[None], torch.tensor([quality])) for photo, quality in zip(photos, (20.0, 90.0), strict=True)]
    torch.testing.assert_close(both, torch.cat(apart), atol=1e-6, rtol=0)


def test_chroma_that_is_not_subsampled_stays_nearer(photos: Tensor) -> None:
    quality = torch.full((2,), 90.0)
    whole, halved = ((jpeg(photos, quality, subsampled=flag) - photos).square().mean() for flag in (False, True))
    assert float(whole) < 0.7 * float(halved)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
def test_every_degradation_is_the_same_in_a_batch_and_alone(choice, photos: Tensor) -> None:
    if choice.name == "noise":
        pytest.skip("drawn from one generator, in order")
    strengths = torch.tensor(choice.strengths)
    together = choice.function(photos, strengths, FREE)
    alone = [choice.function(photos[i : i + 1], strengths[i : i + 1], FREE[i : i + 1]) for i in range(2)]
    torch.testing.assert_close(together, torch.cat(alone), atol=2e-3, rtol=0)


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: choice.name)
@pytest.mark.parametrize("end", [0, 1])
def test_gradients_reach_the_picture_over_the_whole_range(choice, end: int, photos: Tensor) -> None:
    images = photos.clone().requires_grad_()
    result = choice.function(images, torch.full((2,), float(choice.strengths[end])), FREE)
    (gradient,) = torch.autograd.grad(result.square().sum(), images)
    assert gradient.isfinite().all() and (gradient != 0).float().mean() > 0.05


def point(size: int = 31) -> Tensor:
    image = torch.zeros(1, 3, size, size)
    image[..., size // 2, size // 2] = 1
    return image


def test_defocus_is_a_disc() -> None:
    spread = defocus(point(), torch.tensor([4.0]))[0, 0]
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)
    assert torch.equal(spread, spread.T) and float(spread[15, 18]) == pytest.approx(float(spread[15, 15]))
    assert float(spread[15, 20]) == 0.0 and float(spread[18, 18]) > 0.0


@pytest.mark.parametrize(("free", "along"), [(0.0, (15, 19)), (0.5, (19, 15))])
def test_motion_is_a_line_in_its_direction(free: float, along: tuple[int, int]) -> None:
    spread = motion(point(), torch.tensor([9.0]), torch.tensor([free]))[0, 0]
    assert float(spread.sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(spread[along]) > 0.05 and float(spread[along[::-1]]) == pytest.approx(0.0, abs=1e-6)


def stepped(noise: float) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    image = torch.full((1, 3, 40, 40), 0.3)
    image[..., 20:] = 0.7
    return image + noise * torch.randn(image.shape, generator=generator)


@pytest.mark.parametrize(("smooth", "strength"), [(denoised, 0.1), (bilateral, 0.3)])
def test_smoothing_takes_the_noise_and_leaves_the_edge(smooth, strength: float) -> None:
    noisy = stepped(0.02)
    clean = smooth(noisy, torch.tensor([strength]))
    assert float(clean[..., 4:16].std()) < 0.4 * float(noisy[..., 4:16].std())
    assert float((clean[..., 21] - clean[..., 18]).mean()) > 0.35


def test_being_passed_on_loses_detail_with_the_factor(photos: Tensor) -> None:
    lost = [float((resized(photos, torch.full((2,), f), FREE) - photos).square().mean()) for f in (0.9, 0.4)]
    assert lost[1] > 1.2 * lost[0]


def test_the_same_generators_draw_the_same(photos: Tensor) -> None:
    def drawn(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return torch.stack([degrade(photo, np.random.default_rng(seed + n)) for n, photo in enumerate(photos)])

    assert torch.equal(drawn(1), drawn(1)) and not torch.equal(drawn(1), drawn(2))


def test_only_a_share_is_degraded(photos: Tensor) -> None:
    generator = np.random.default_rng(0)
    assert torch.equal(degrade_batch(photos, generator, share=0.0), photos)
    everything = degrade_batch(photos.repeat(8, 1, 1, 1), generator, share=1.0)
    assert everything.shape == (16, 3, 48, 64) and everything.min() >= 0 and everything.max() <= 1
    assert all(not torch.equal(one, photos[i % 2]) for i, one in enumerate(everything))
    half = degrade_batch(photos.repeat(40, 1, 1, 1), generator, share=0.5)
    same = sum(torch.equal(one, photos[i % 2]) for i, one in enumerate(half))
    assert 25 <= same <= 55
