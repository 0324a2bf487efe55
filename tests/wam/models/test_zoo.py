"""The table of checkpoints, and what `load` makes of a name, a path or a mistake."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
import torch

import wam
from payload import derive_subkeys
from tests.wam.synthetic import smooth_picture
from wam.detection.calibration import Calibration
from wam.detection.config import DEFAULT_SEARCH
from wam.errors import ModelError
from wam.models import catalogue
from wam.models.catalogue import DEFAULT, KNOWN, Known, shipped
from wam.models.checkpoints import save_checkpoint
from wam.models.zoo import choose_device, open_checkpoint
from wam.networks.embedder import Embedder
from wam.networks.extractor import Extractor
from wam.signal.specification import SIGNAL
from wam.watermarker import Watermarker, load

MOST_BYTES = 16 * 2**20
CALIBRATION = Calibration(threshold=31.0, null_location=13.5, null_scale=1.35, bit_slope=1.5)


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    """A random checkpoint with a calibration of its own."""
    torch.manual_seed(0)
    path = tmp_path / "tiny.safetensors"
    metadata = {"calibration": asdict(CALIBRATION) | {"search": DEFAULT_SEARCH.digest()}}
    save_checkpoint(path, Embedder(channels=4), Extractor(channels=8, blocks=1), metadata, signal=SIGNAL)
    return path


def known(file: str) -> Known:
    """A row of the table whose hash fits no file."""
    return Known(file, "0" * 64, "MIT", SIGNAL.name, "small")


@pytest.mark.parametrize("name", KNOWN)
def test_known_checkpoints_ship_unaltered(name: str) -> None:
    content = shipped(KNOWN[name].file).read_bytes()
    assert hashlib.sha256(content).hexdigest() == KNOWN[name].sha256
    assert len(content) <= MOST_BYTES


def test_the_default_is_known_and_loads_from_the_top(shipped: Watermarker) -> None:
    assert DEFAULT in KNOWN
    assert wam.load is load
    assert shipped.name == f"{DEFAULT}@{KNOWN[DEFAULT].sha256[:8]}"


def strip(source: Path, target: Path) -> None:
    """The file as version 0.2.0 shipped it: no signal, no search, no other names, another calibration; the same
    tensors."""
    content = source.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    stated = header["__metadata__"]
    metadata = json.loads(stated["metadata"])
    metadata["calibration"] = {"threshold": 16.97, "null_location": 9.877, "null_scale": 1.06, "bit_slope": 4.354}
    metadata["calibration_basis"] = "480 unmarked or foreign training views, highest 19.32, tail 12.08 + 1.06 x"
    kept = {"metadata": json.dumps(metadata), "format": stated["format"], "architecture": stated["architecture"]}
    header["__metadata__"] = kept
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    target.write_bytes(len(text).to_bytes(8, "little") + text + content[8 + length :])


def test_the_file_of_0_2_0_is_read_and_marks_the_same(shipped: Watermarker, tmp_path: Path) -> None:
    """Built from the one that ships beside today's: bit for bit what version 0.2.0 knew as lattice32@b4f631c7."""
    path, kept = tmp_path / "lattice32.safetensors", load("lattice32-0.2", device="cpu")
    strip(catalogue.shipped(KNOWN["lattice32-0.2"].file), path)
    earlier = load(path, device="cpu")
    assert earlier.name == "lattice32@b4f631c7"
    assert earlier.name in kept.model.description.same_as
    assert hashlib.sha256(path.read_bytes()).hexdigest() in KNOWN["lattice32-0.2"].earlier
    marked = [np.asarray(one.embed(smooth_picture(), "01" * 16).image) for one in (kept, earlier)]
    np.testing.assert_array_equal(*marked)
    (now,), (then,) = (one.detect(marked[0]) for one in (shipped, earlier))  # today's reads it just as well
    assert (now.score, now.log10_p, now.bits) == (then.score, then.log10_p, then.bits)


@pytest.mark.parametrize("name", KNOWN)
def test_the_table_states_the_signal_of_the_file(name: str) -> None:
    stated = open_checkpoint(name)[0].signal
    assert stated is not None and stated.name == KNOWN[name].signal
    assert KNOWN[name].size in ("small", "large")


def test_a_path_is_named_after_its_file(tiny: Path) -> None:
    marker = load(tiny, device="cpu")
    assert marker.name == f"tiny@{hashlib.sha256(tiny.read_bytes()).hexdigest()[:8]}"
    assert load(str(tiny), device="cpu").name == marker.name


def test_the_calibration_comes_from_the_checkpoint(tiny: Path) -> None:
    assert load(tiny, device="cpu").model.calibration == CALIBRATION


def test_a_checkpoint_that_was_not_calibrated_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "raw.safetensors"
    save_checkpoint(path, Embedder(channels=4), Extractor(channels=8, blocks=1), {}, signal=SIGNAL)
    with pytest.raises(
        ModelError,
        match=r"raw\.safetensors: expected a calibrated checkpoint, found none; run python scripts",
    ):
        load(path, device="cpu")


def test_a_loaded_model_marks_and_looks(tiny: Path) -> None:
    marker = load(tiny, device="cpu")
    assert marker.embed(smooth_picture(), "01" * 16).psnr_db > 40
    assert isinstance(marker.detect(smooth_picture()), list)


def test_each_key_draws_a_carrier(tiny: Path) -> None:
    keys = [b"sixteen bytes of secret", None]
    carriers = load(tiny, device="cpu", keys=keys).model.carriers
    assert carriers[0].key == derive_subkeys(b"sixteen bytes of secret").carrier
    assert carriers[1].key == load(tiny, device="cpu").model.carriers[0].key


def test_precision_is_passed_on(tiny: Path) -> None:
    assert load(tiny, device="cpu", precision="bf16").model.precision == torch.bfloat16


def test_the_licence_is_the_files_own_and_the_tables(shipped: Watermarker) -> None:
    assert shipped.model.description.licence == open_checkpoint(DEFAULT)[0].licence == KNOWN[DEFAULT].licence


def test_figures_are_kept_with_the_weights(tmp_path: Path) -> None:
    figures = {"jpeg=50": {"found": 0.99}}
    path = tmp_path / "measured.safetensors"
    save_checkpoint(path, Embedder(channels=4), Extractor(channels=8, blocks=1), {"figures": figures}, signal=SIGNAL)
    checkpoint, _ = open_checkpoint(path)
    assert checkpoint.metadata["figures"] == figures
    assert checkpoint.calibration is None and checkpoint.licence is None
    assert checkpoint.parameters.keys() == {"embedder", "extractor"}


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        ModelError, match=rf"^lattice99: expected a model name \({DEFAULT}.*\) or a file, found neither"
    ):
        load("lattice99")


def test_an_altered_checkpoint_of_the_package_is_refused(tiny: Path) -> None:
    with pytest.raises(ModelError, match=r"expected SHA-256 0000000000000000…, found .*the file was altered"):
        open_checkpoint("tiny", known={"tiny": known(str(tiny))})


def test_a_missing_checkpoint_of_the_package_is_refused() -> None:
    with pytest.raises(ModelError, match=r"gone\.safetensors: expected a checkpoint, found none"):
        open_checkpoint("gone", known={"gone": known("gone.safetensors")})


def test_the_packaged_copy_wins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "files", lambda package: tmp_path / package)
    assert shipped("a.safetensors") == tmp_path / "checkpoints" / "a.safetensors"
    (tmp_path / "wam" / "weights").mkdir(parents=True)
    (tmp_path / "wam" / "weights" / "a.safetensors").touch()
    assert shipped("a.safetensors") == tmp_path / "wam" / "weights" / "a.safetensors"


@pytest.mark.parametrize(("cuda", "mps", "chosen"), [(True, True, "cuda"), (False, True, "mps"), (False, False, "cpu")])
def test_auto_takes_the_best_device(monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device("auto") == chosen
    assert choose_device("cpu") == "cpu"


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ModelError, match="expected cuda, found none on this machine; use --device cpu"):
        choose_device("cuda")


def test_an_unknown_device_is_refused() -> None:
    with pytest.raises(ModelError, match="expected one of auto, cpu, cuda, mps, found tpu"):
        choose_device("tpu")
