"""Invisible image watermarks that say where they are: 32-bit messages, localised, several to a picture."""

from wam.errors import ImageError, ModelError, WamError
from wam.library import load
from wam.marker import Detection, Marked, Watermarker
from wam.outline import Region

__all__ = ["Detection", "ImageError", "Marked", "ModelError", "Region", "WamError", "Watermarker", "load"]
__version__ = "0.1.0"
