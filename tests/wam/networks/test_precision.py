"""What networks compute in: names, and the default of each device and model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.wam.models.meta.test_meta_weights import constant_weights
from wam.models import catalogue, zoo
from wam.networks.precision import best_precision, check_precision, precision_of
from wam.watermarker import load


@pytest.mark.parametrize(
    ("capabilities", "expected"),
    [({"avx512_bf16": True}, "bf16"), ({"avx512_bf16": False, "amx_bf16": True}, "bf16"), ({"avx2": True}, "fp32")],
)
def test_a_cpu_does_best_in_what_it_has(
    monkeypatch: pytest.MonkeyPatch, capabilities: dict[str, bool], expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities, raising=False)
    assert best_precision("cpu") == expected


@pytest.mark.parametrize(("told", "expected"), [(True, "bf16"), (False, "fp32"), (None, "fp32")])
def test_older_torch_is_asked_as_it_can_be(monkeypatch: pytest.MonkeyPatch, told: bool | None, expected: str) -> None:
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: told, raising=False)
    if told is None:
        monkeypatch.delattr(torch.cpu, "_is_avx512_bf16_supported")
    assert best_precision("cpu") == expected


@pytest.mark.parametrize(("supported", "expected"), [(True, "bf16"), (False, "fp32")])
def test_a_gpu_does_best_in_what_it_has(monkeypatch: pytest.MonkeyPatch, supported: bool, expected: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda *, including_emulation: supported)
    assert best_precision("cuda") == expected and best_precision("mps") == "fp32"


def test_own_models_take_the_best_and_meta_s_what_it_was_published_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(zoo, "best_precision", lambda device: "bf16")
    torch.save(constant_weights(), tmp_path / "meta.pth")
    assert zoo.default_precision(catalogue.DEFAULT, "cpu") == "bf16"
    assert zoo.default_precision(catalogue.shipped("lattice32.safetensors"), "cpu") == "bf16"
    assert zoo.default_precision(tmp_path / "meta.pth", "cpu") == "fp32"
    assert load(device="cpu").model.precision == torch.bfloat16  # type: ignore[attr-defined]
    assert load(device="cpu", precision="fp32").model.precision is None  # type: ignore[attr-defined]


def test_unknown_names_are_refused_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="precision: expected one of auto, fp32, bf16, fp16, found int4"):
        load(precision="int4")
    with pytest.raises(ValueError, match="expected one of fp32, bf16, fp16, found auto"):
        precision_of("auto")
    check_precision("auto")
