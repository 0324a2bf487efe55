"""Errors: one base for all, and names as one printable line."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from wam.errors import ImageError, ModelError, WamError, is_out_of_memory, show_name


@pytest.mark.parametrize("error", [ImageError, ModelError])
def test_errors_are_catchable_as_one(error: type[Exception]) -> None:
    assert issubclass(error, WamError)


@pytest.mark.parametrize(
    ("name", "shown"),
    [("plain é 照片.png", "plain é 照片.png"), ("a\tb\r", "a\\tb\\r"), ("\u202egnp", "\\u202egnp")],
)
def test_show_name(name: str, shown: str) -> None:
    assert show_name(name) == shown


def cpu_error() -> RuntimeError:
    with pytest.raises(RuntimeError) as raised:
        torch.empty(1 << 60, dtype=torch.uint8)
    return raised.value


OUT_OF_MEMORY: list[BaseException] = [
    MemoryError(),
    OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)),
    torch.cuda.OutOfMemoryError("CUDA is full"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.07 GB)"),
    cpu_error(),
]
OTHERS: list[BaseException] = [
    ValueError("out of memory"),
    ImageError("cannot allocate memory.png: expected a readable file, found none, check the name"),
    OSError(errno.ENOENT, "out of memory"),
    RuntimeError("expected scalar type Float"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=lambda error: type(error).__name__)
def test_out_of_memory_is_known_by_type_or_by_what_torch_says(error: BaseException) -> None:
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=lambda error: type(error).__name__)
def test_a_text_alone_says_nothing_of_memory(error: BaseException) -> None:
    assert not is_out_of_memory(error)


@pytest.mark.parametrize(("cause", "expected"), [(MemoryError(), True), (EOFError("out of memory"), False)])
def test_what_an_error_was_raised_from_counts(cause: Exception, expected: bool) -> None:
    with pytest.raises(ImageError) as raised:
        raise ImageError("a.png: expected a picture, found none, copy it again") from cause
    assert is_out_of_memory(raised.value) == expected
