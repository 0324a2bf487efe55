"""Meta's WAM in this toolkit: its architecture, its weights, and how its per-pixel output becomes watermarks."""

from wam.models.meta.model import MetaModel
from wam.models.meta.weights import load_weights, save_weights

__all__ = ["MetaModel", "load_weights", "save_weights"]
