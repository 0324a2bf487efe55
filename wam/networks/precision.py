"""What an extractor computes in: the names, and which of them a device does best with."""

from __future__ import annotations

import torch

PRECISIONS = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}  # of networks; what they give stays float32
AUTO = "auto"  # the model's own default on a device, see wam.models.zoo.default_precision


def check_precision(name: str) -> None:
    """Raises ``ValueError`` for what is neither a precision nor ``AUTO``."""
    names = (AUTO, *PRECISIONS)
    if name not in names:
        raise ValueError(f"precision: expected one of {', '.join(names)}, found {name}; choose one of them")


def precision_of(name: str) -> torch.dtype | None:
    """The type of a precision, None for float32; raises ``ValueError`` for an unknown name."""
    if name not in PRECISIONS:
        raise ValueError(f"precision: expected one of {', '.join(PRECISIONS)}, found {name}; choose one of them")
    return PRECISIONS[name]


def best_precision(device: str) -> str:
    """The fastest on a device: bf16 where it has instructions for that and says so (CUDA, x86), else fp32."""
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    return "bf16" if device == "cpu" and _cpu_has_bf16() else "fp32"


def _cpu_has_bf16() -> bool:
    tell = getattr(torch.cpu, "get_capabilities", None)
    if tell is not None:
        capabilities = tell()
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    before = getattr(torch.cpu, "_is_avx512_bf16_supported", None)  # of torch before 2.12, from 2.6 on
    return before is not None and bool(before())
