"""A stand-in for a second device, on machines that have none: tensors there do not mix with others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

ELSEWHERE = torch.device("meta", 7)


class There(Tensor):
    """A tensor that says it is elsewhere, and fails as CUDA does beside one that is not."""

    @classmethod
    def __torch_function__(
        cls,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = options or {}
        if function == Tensor.device.__get__:
            return ELSEWHERE
        moves = function is Tensor.cpu or (function is Tensor.to and _target(arguments, options) is not None)
        if moves:
            return plain(arguments[0])
        if any(isinstance(one, Tensor) and not isinstance(one, There) and one.ndim for one in arguments):
            raise RuntimeError("Expected all tensors to be on the same device, but found at least two devices")
        return super().__torch_function__(function, types, arguments, options)


class WithElsewhere(TorchFunctionMode):
    """While it is active, ``tensor.to(ELSEWHERE)`` brings any tensor there."""

    def __torch_function__(
        self,
        function: Callable[..., Any],
        types: Sequence[type],
        arguments: Sequence[Any] = (),
        options: Mapping[str, Any] | None = None,
    ) -> Any:
        options = options or {}
        if function is Tensor.to and _target(arguments, options) == ELSEWHERE:
            return there(arguments[0])
        return function(*arguments, **options)


def there(tensor: Tensor) -> Tensor:
    """The same values elsewhere."""
    with torch._C.DisableTorchFunction():
        return tensor.detach().clone().as_subclass(There)


def plain(tensor: Tensor) -> Tensor:
    """The same values on the CPU."""
    with torch._C.DisableTorchFunction():
        return tensor.detach().clone().as_subclass(Tensor)


def _target(arguments: Sequence[Any], options: Mapping[str, Any]) -> torch.device | None:
    """The device that ``Tensor.to`` was given, if any."""
    given = [*arguments[1:], options.get("device")]
    devices = [torch.device(one) for one in given if isinstance(one, str | torch.device)]
    return devices[0] if devices else None
