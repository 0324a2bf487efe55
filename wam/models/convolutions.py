"""How many compiled convolutions a process keeps: there is one for each layer and size of picture.

oneDNN keeps 1,024, and PyTorch in front of it as many, so that a process that reads pictures of many sizes comes to
need hundreds of megabytes for what it hardly uses again (``scripts/service_memory.py``).
"""

from __future__ import annotations

import os

VARIABLES = ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY")  # of oneDNN, and of PyTorch in front of it
KEPT = "16"  # costs pictures of one size no time that could be measured: scripts/service_memory.py


def keep_few_convolutions() -> None:
    """Bounds what this process keeps, where the environment does not say how much; to be called before the first
    network runs, which is when it is read."""
    for name in VARIABLES:
        os.environ.setdefault(name, KEPT)
