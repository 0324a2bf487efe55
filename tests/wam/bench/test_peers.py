"""Adapters of other packages, where these are installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from wam.bench import peers
from wam.bench.contenders import from_bgr, to_bgr
from wam.bench.peers import PEERS, PeerError, build_peer, choose_peers
from wam.bench.photos import ImageSet

BITS = "01100111000011110000111100001111"
METHODS = [(package, module, method) for package, (module, methods) in PEERS.items() for method in methods]
PHOTO = ImageSet.packaged(size=320).photo(0)


@pytest.mark.parametrize(("package", "module", "method"), METHODS)
@pytest.mark.filterwarnings("ignore")  # the packages' own
def test_a_method_reads_its_own_mark(package: str, module: str, method: str) -> None:
    pytest.importorskip(module, reason=f"{package} is not installed: {peers.INSTALL}")
    if method == "rivaGan":
        pytest.importorskip("onnxruntime", reason=f"rivaGan needs onnxruntime: {peers.INSTALL}")
    contender = build_peer(package, method)
    marked = contender.embed(PHOTO, BITS, strength=None)
    assert marked.shape == PHOTO.shape and contender.name == method
    assert 25 < float(-10 * (marked - PHOTO).square().mean().log10()) < 60
    (reading,) = contender.read(marked)
    wrong = sum((logit > 0) != (bit == "1") for logit, bit in zip(reading.logits, BITS, strict=True))
    assert wrong <= 2  # dwtDct is not exact on every picture
    assert reading.mask is None and reading.presence_log10_p == 0.0
    assert contender.read(PHOTO[..., :24, :24]) == []


@pytest.mark.skipif(find_spec("blind_watermark") is None, reason=f"blind-watermark is not installed: {peers.INSTALL}")
def test_blind_watermark_works_where_the_start_of_processes_is_set() -> None:
    code = (
        "import multiprocessing; multiprocessing.set_start_method('spawn')\n"  # as in each worker of the bench
        "from wam.bench.peers import build_peer\n"
        "print(build_peer('blind-watermark', 'blind-watermark').name, multiprocessing.get_start_method())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=300)
    assert done.stdout == "blind-watermark spawn\n"


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None)
    with pytest.raises(PeerError, match=r"expected the package imwatermark, found none; install it: pip install"):
        choose_peers(["dwtDct"])


def test_rivagan_needs_its_runtime(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: None if name == "onnxruntime" else find_spec("wam"))
    with pytest.raises(PeerError, match="the package onnxruntime"):
        choose_peers(["rivaGan"])
    assert len(choose_peers(["dwtDct"])) == 1


def test_an_unknown_peer_lists_the_known() -> None:
    with pytest.raises(PeerError, match="blind-watermark, dwtDct, dwtDctSvd, rivaGan, found stegano"):
        choose_peers(["stegano"])


def test_a_package_stands_for_its_methods_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "find_spec", lambda name: find_spec("wam"))
    assert len(choose_peers(["invisible-watermark", "dwtDct", "blind-watermark"])) == 4


def test_colours_survive_the_way_to_bgr_and_back() -> None:
    array = to_bgr(PHOTO)
    assert array.shape == (*PHOTO.shape[2:], 3) and (array[..., 0] == (PHOTO[0, 2] * 255).round().numpy()).all()
    assert (from_bgr(array) == PHOTO).all()
