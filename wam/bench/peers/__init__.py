"""Other watermarking packages under the same attacks: an adapter in each file, installed by the extra ``peers``."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec

from wam.bench.contenders import Build, Contender
from wam.errors import WamError

INSTALL = "pip install invisible-watermark onnxruntime blind-watermark  # the extra [peers]"
# Package: the module it installs, and its methods.
PEERS = {
    "invisible-watermark": ("imwatermark", ("dwtDct", "dwtDctSvd", "rivaGan")),
    "blind-watermark": ("blind_watermark", ("blind-watermark",)),
}


class PeerError(WamError):
    """A peer is not known, or its package is not installed."""


def choose_peers(names: list[str]) -> list[Build]:
    """The methods of ``--against``: a package, or one of its methods. Raises ``PeerError``, before anything is run."""
    known = [*PEERS, *(method for _, methods in PEERS.values() for method in methods if method not in PEERS)]
    chosen: dict[str, Build] = {}
    for name in names:
        if name not in known:
            raise PeerError(f"--against: expected one of {', '.join(known)}, found {name}; choose one of them")
        package = next(package for package, (_, methods) in PEERS.items() if name in (package, *methods))
        module, methods = PEERS[package]
        needed = [module] + ["onnxruntime"] * (name in ("invisible-watermark", "rivaGan"))
        missing = [part for part in needed if find_spec(part) is None]
        if missing:
            raise PeerError(f"--against {name}: expected the package {missing[0]}, found none; install it: {INSTALL}")
        for method in methods if name == package else (name,):
            chosen[method] = partial(build_peer, package, method)
    return list(chosen.values())


def build_peer(package: str, method: str) -> Contender:
    """The adapter of one method."""
    if package == "blind-watermark":
        from wam.bench.peers.blind_watermark import BlindWatermark

        return BlindWatermark()
    from wam.bench.peers.invisible_watermark import InvisibleWatermark

    return InvisibleWatermark(method)
