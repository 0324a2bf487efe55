"""Meta's WAM in this toolkit: its architecture, its weights, and how its per-pixel output becomes watermarks."""

from wam.models.meta.extractor import extractor_for_timing
from wam.models.meta.model import MetaModel
from wam.models.meta.weights import load_weights, save_weights

__all__ = ["MetaModel", "extractor_for_timing", "load_weights", "save_weights"]
