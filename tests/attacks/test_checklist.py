"""What every registered attack must do."""

import pickle

import pytest
import torch
from PIL import features
from torch import Tensor

from attacks import AttackResult, Params, lacks, make, names, parse
from attacks.borrowed import TABLE

STRENGTHS = {
    "identity": "",
    "brightness": "=1.5 0.5",
    "contrast": "=2 0",
    "saturation": "=1.5 0",
    "hue": "=0.1 -0.25",
    "grayscale": "",
    "gamma": "=0.7 1.4",
    "gaussian_blur": "=3 9",
    "median": "=3 7",
    "gaussian_noise": "=0.05",
    "sharpness": "=2 0",
    "posterize": "=4",
    "jpeg": "=80 1",
    "webp": "=80",
    "avif": "=50",
    "jpeg_2000": "=20",
    "jxl": "=30",
    "heic": "=30",
    "nl_means": "=0.1",
    "tv": "=0.1",
    "cv_nl_means": "=5",
    "cv_bilateral": "=40",
    "subpixels": "",
    "halftone": "=2.26 3.5",
    "resize": "=0.32 1.5",
    "aspect": "=0.8 1.25",
    "thumbnail": "=20",
    "fit": "=20",
    "crop": "=0.1 0.5",
    "crop_keep": "=0.1 0.5",
    "pad": "=0.5",
    "rotate": "=10 -45 90",
    "hflip": "",
    "vflip": "",
    "perspective": "=0.1 0.5",
    "proportion": "=0.1 0.25",
    "collage": "=0.1 0.25",
    "inpaint": "=0.3",
    "overlay_text": "=1 0.5",
    "overlay_logo": "=1 0.4",
    "combination": "",
    "screenshot": "",
    "social": "",
    "whatsapp": "",
    "whatsapp_forwarded": "",
    "wechat": "",
    "instagram": "",
    "x_small": "",
    "cdn": "",
    "screenshot_125": "",
    "screenshot_150": "",
    "phone_photo": "",
    "print_scan": "",
    "newspaper": "",
}
SPECS = [
    name + ("=" + strength if strength else "")
    for name, strengths in STRENGTHS.items()
    for strength in strengths.removeprefix("=").split(" ")
    if (name != "avif" or features.check("avif")) and lacks(name) is None
]
IDENTITIES = [
    *("identity", "brightness=1", "contrast=1", "saturation=1", "hue=0", "gamma=1"),
    *("gaussian_blur=1", "median=1", "gaussian_noise=0", "sharpness=1", "posterize=8"),
    *("resize=1", "aspect=1", "thumbnail=48", "thumbnail=1000", "fit=64", "crop=1", "crop_keep=1"),
    *("pad=0", "rotate=0", "perspective=0", "proportion=1", "collage=1", "inpaint=0"),
    *("overlay_text=0", "overlay_logo=0", "brightness=1,rotate=0"),
]

every_attack = pytest.mark.parametrize("spec", SPECS)


def attacked(spec: str, photos: Tensor, params: Params) -> AttackResult:
    """Apply with masks, originals and backgrounds that have the batch size of the photos."""
    masks = photos.new_zeros(len(photos), 2, 48, 64)
    masks[:, 0, 10:30, 20:50] = 1
    masks[:, 1] = 1
    return parse(spec).apply(photos, params, masks, originals=photos.flip(1), backgrounds=1 - photos[:, :, :40])


def drawn(spec: str, count: int = 2, seed: int = 3) -> Params:
    return parse(spec).sample(count, torch.Generator().manual_seed(seed))


def test_every_name_is_checked() -> None:
    assert set(STRENGTHS) == set(names()) - set(TABLE)  # those of other packages have tests of their own


@every_attack
def test_shape_and_range(spec: str, photos: Tensor) -> None:
    result = attacked(spec, photos, drawn(spec))
    assert result.images.shape[:2] == (2, 3)
    assert result.images.dtype == torch.float32
    assert result.images.min() >= 0 and result.images.max() <= 1
    assert result.masks is not None
    assert result.masks.shape == (2, 2, *result.images.shape[2:])
    assert set(result.masks.unique().tolist()) <= {0.0, 1.0}


@every_attack
def test_double_precision_is_kept(spec: str, photos: Tensor) -> None:
    single = attacked(spec, photos, drawn(spec)).images
    double = attacked(spec, photos.double(), drawn(spec)).images
    assert double.dtype == torch.float64
    assert (double - single).abs().mean() < 5e-3  # before a codec, ties round either way


@pytest.mark.parametrize("spec", IDENTITIES)
def test_identity_strength(spec: str, photos: Tensor) -> None:
    params = drawn(spec)
    result = attacked(spec, photos, params)
    assert torch.allclose(result.images, photos, atol=1e-5)
    assert result.masks is not None
    assert result.masks.mean((0, 2, 3)).tolist() == pytest.approx([20 * 30 / (48 * 64), 1])


@every_attack
def test_same_parameters_same_output(spec: str, photos: Tensor) -> None:
    first, second = (attacked(spec, photos, drawn(spec)) for _ in range(2))
    assert torch.equal(first.images, second.images)


@every_attack
def test_seed_and_generator_agree(spec: str, photos: Tensor) -> None:
    attack = parse(spec)
    originals = photos.flip(1)
    by_seed = attack(photos, seed=5, originals=originals)
    generator = torch.Generator().manual_seed(5)
    by_generator = attack(photos, generator=generator, originals=originals)
    assert by_seed.masks is None
    assert torch.equal(by_seed.images, by_generator.images)


@pytest.mark.parametrize("spec", [spec for spec in SPECS if drawn(spec)])
def test_random_attacks_draw_anew(spec: str, photos: Tensor) -> None:
    first = attacked(spec, photos, drawn(spec, seed=1)).images
    second = attacked(spec, photos, drawn(spec, seed=2)).images
    assert not torch.equal(first, second)


@every_attack
def test_gradient_is_finite_and_not_zero(spec: str, photos: Tensor) -> None:
    images = photos.clone().requires_grad_()
    result = attacked(spec, images, drawn(spec)).images
    weights = torch.rand(result.shape, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((result * weights).sum(), images)
    assert gradient.isfinite().all()
    assert (gradient != 0).float().mean() > 0.05


@every_attack
def test_batch_equals_single(spec: str, photos: Tensor) -> None:
    params = drawn(spec)
    batch = attacked(spec, photos, params)
    for index in range(2):
        one = slice(index, index + 1)
        single = attacked(spec, photos[one], {name: values[one] for name, values in params.items()})
        assert torch.allclose(single.images, batch.images[one], atol=1e-6)
        assert single.masks is not None and batch.masks is not None
        assert torch.equal(single.masks, batch.masks[one])


@every_attack
def test_repr_parses_back(spec: str) -> None:
    attack = parse(spec)
    assert parse(repr(attack)) == attack
    assert repr(parse(repr(attack))) == repr(attack)


@every_attack
def test_pickles(spec: str) -> None:
    attack = parse(spec)
    assert pickle.loads(pickle.dumps(attack)) == attack


@pytest.mark.parametrize(
    "spec",
    [
        spec
        for spec in SPECS
        if parse(spec).group in ("geometric", "splicing", "combined")
        and not spec.startswith(("inpaint", "overlay"))  # not black: see test_splicing.py
    ],
)
def test_masks_follow_the_pixels(spec: str) -> None:
    masks = torch.zeros(2, 1, 96, 128)
    masks[:, :, 20:80, 30:110] = 1
    images = masks.repeat(1, 3, 1, 1) * 0.6
    black = torch.zeros_like(images)
    result = parse(spec)(images, masks, seed=4, originals=black, backgrounds=black)
    assert result.masks is not None
    seen = result.images.mean(1, keepdim=True) > 0.3
    agreement = (seen == (result.masks > 0.5)).float().mean()
    assert agreement > 0.98


@pytest.mark.parametrize("spec", [s for s in SPECS if parse(s).group == "valuemetric"])
def test_masks_stay_where_pixels_stay(spec: str, photos: Tensor) -> None:
    masks = torch.rand(2, 3, 48, 64)
    assert parse(spec)(photos, masks, seed=1).masks is masks


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_gpu_equals_cpu(photos: Tensor) -> None:
    for spec in SPECS:
        params = drawn(spec)
        here = attacked(spec, photos, params)
        there = attacked(spec, photos.cuda(), params)
        assert there.images.is_cuda, spec
        assert (there.images.cpu() - here.images).abs().mean() < 5e-3, spec
        assert there.masks is not None and here.masks is not None
        assert (there.masks.cpu() != here.masks).float().mean() < 5e-3, spec


def test_make_and_parse_agree() -> None:
    assert make("jpeg", 80) == parse("jpeg=80")
