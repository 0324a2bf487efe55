"""Invisible image watermarks that say where they are: 32-bit messages, localised, several to a picture."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wam.errors import ImageError, ModelError, WamError
    from wam.region import Region
    from wam.studio import Studio
    from wam.watermarker import Detection, Marked, Watermarker, load

__all__ = ["Detection", "ImageError", "Marked", "ModelError", "Region", "Studio", "WamError", "Watermarker", "load"]
__version__ = "0.3.0"

_HOMES = {
    "Detection": "wam.watermarker",
    "ImageError": "wam.errors",
    "Marked": "wam.watermarker",
    "ModelError": "wam.errors",
    "Region": "wam.region",
    "Studio": "wam.studio",
    "WamError": "wam.errors",
    "Watermarker": "wam.watermarker",
    "load": "wam.watermarker",
}


def __getattr__(name: str) -> Any:
    """Imports public names when they are first used: ``wam --help`` need not wait for torch."""
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'wam' has no attribute {name!r}")


def __dir__() -> list[str]:
    """The public names and the version; what else is bound here is how they are brought."""
    return sorted([*__all__, "__version__"])
