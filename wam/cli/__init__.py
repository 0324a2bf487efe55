"""The command line: parse, call the library, print. One module per command."""

import os

# Files are worked on side by side, one to a thread. NumPy's OpenBLAS would start threads of its own within each, which
# spin while they wait for one another: more than a quarter of a batch's CPU time. It asks once, when NumPy is imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from wam.cli.app import app, main

__all__ = ["app", "main"]
