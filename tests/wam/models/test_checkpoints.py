"""Checkpoints: written and read back exactly, and refused when anything about them is wrong."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from wam.detection.config import DEFAULT_SEARCH, SEARCH_OF_0_2_0
from wam.errors import ModelError
from wam.models.checkpoints import FORMAT, load_checkpoint, save_checkpoint
from wam.models.lattice_model import LatticeModel
from wam.networks.embedder import Embedder
from wam.networks.extractor import Extractor
from wam.signal.specification import SIGNAL, Signal

METADATA = {"step": 7, "licence": "MIT", "validation": {"correlation": 0.5}}


def tiny() -> tuple[Embedder, Extractor]:
    torch.manual_seed(0)
    return Embedder(channels=4), Extractor(channels=8, blocks=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_checkpoint(tmp_path / "tiny.safetensors", *tiny(), METADATA, signal=SIGNAL)
    return tmp_path / "tiny.safetensors"


def rewrite(path: Path, *, drop: str = "", add: str = "", **header: str) -> None:
    """The same tensors without or with one more, under another header."""
    tensors = {name: tensor for name, tensor in load_file(path).items() if name != drop}
    tensors |= {add: torch.zeros(1)} if add else {}
    shape = {"embedder": {"channels": 4}, "extractor": {"channels": 8, "blocks": 2}}
    plain = {"format": FORMAT, "architecture": json.dumps(shape), "metadata": json.dumps(METADATA)}
    save_file(tensors, path, plain | header)


def test_a_checkpoint_rebuilds_its_own_networks(path: Path) -> None:
    loaded = load_checkpoint(path)
    image = torch.rand(1, 3, 32, 40, generator=torch.Generator().manual_seed(0))
    embedder, extractor = tiny()
    with torch.no_grad():
        torch.testing.assert_close(loaded.embedder(image), embedder(image), atol=5e-3, rtol=5e-3)
        torch.testing.assert_close(loaded.extractor(image).pattern, extractor(image).pattern, atol=5e-3, rtol=5e-3)
    assert loaded.metadata == METADATA
    assert not loaded.embedder.training and not loaded.extractor.training


def test_weights_are_halved_once_and_then_exact(path: Path, tmp_path: Path) -> None:
    first = load_checkpoint(path)
    again = tmp_path / "again.safetensors"
    save_checkpoint(again, first.embedder, first.extractor, first.metadata, signal=first.signal)
    before, after = load_file(path), load_file(again)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_digest_is_the_one_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "tiny.safetensors"
    digest = save_checkpoint(path, *tiny(), METADATA, signal=SIGNAL)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert load_checkpoint(path, sha256=digest).sha256 == digest
    assert list(tmp_path.iterdir()) == [path]


def test_an_altered_file_is_refused(path: Path) -> None:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"expected SHA-256 {digest[:16]}…, found .*the file was altered"):
        load_checkpoint(path, sha256=digest)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.safetensors: expected a checkpoint, found none \(No such file"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="Is a directory"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("content", [b"", b"no tensors at all", b"\x08\0\0\0\0\0\0\0{}      "])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"foreign\.safetensors: expected (a safetensors checkpoint|format)"):
        load_checkpoint(path)


def test_a_truncated_file_is_refused(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ModelError, match="expected a safetensors checkpoint"):
        load_checkpoint(path)


def test_a_checkpoint_of_another_toolkit_is_refused(path: Path) -> None:
    rewrite(path, format="another-1")
    with pytest.raises(ModelError, match=f"expected format {FORMAT}, found another-1; give a checkpoint of this"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"drop": "embedder.head.bias"}, "embedder"),
        ({"drop": "extractor.head.bias"}, "extractor"),
        ({"add": "extractor.more"}, "extractor"),
        (
            {"architecture": json.dumps({"embedder": {"channels": 5}, "extractor": {"channels": 8, "blocks": 2}})},
            "embedder",
        ),
        (
            {"architecture": json.dumps({"embedder": {"channels": 4}, "extractor": {"channels": 8, "blocks": 1}})},
            "extractor",
        ),
    ],
)
def test_keys_that_do_not_match_are_refused(path: Path, change: dict[str, str], part: str) -> None:
    rewrite(path, **change)
    with pytest.raises(ModelError, match=f"expected the keys of its architecture, found others: .*{part}") as error:
        load_checkpoint(path)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("architecture", ["", "{}", '{"embedder": {"depth": 3}, "extractor": {}}', "[]"])
def test_an_unreadable_architecture_is_refused(path: Path, architecture: str) -> None:
    rewrite(path, architecture=architecture)
    with pytest.raises(ModelError, match=r"tiny\.safetensors: expected an architecture this version can build"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"version": 2}, "expected signal version 1, found 2; update the package"),
        ({"version": 0, "tilt": 0.5}, "expected signal version 1, found 0; update the package"),
        ({"band": [3.0, 12.0]}, "expected the values of signal version 1, found .*12.0"),
        ({"per_bit": 5}, "expected the values of signal version 1, found .*per_bit 5"),
        ({"working_side": 320}, "expected the values of signal version 1, found .*working_side 320"),
    ],
)
def test_another_signal_is_refused_by_name(path: Path, change: dict[str, object], problem: str) -> None:
    rewrite(path, signal=json.dumps(SIGNAL.to_dict() | change))
    with pytest.raises(ModelError, match=rf"tiny\.safetensors: {problem}"):
        load_checkpoint(path)


@pytest.mark.parametrize("text", ["", "[]", "1", '{"version": 1}', '{"version": 1, "band": 3}'])
def test_an_unreadable_signal_is_refused(path: Path, text: str) -> None:
    rewrite(path, signal=text)
    with pytest.raises(ModelError, match=r"tiny\.safetensors: "):
        load_checkpoint(path)


def test_the_signal_is_written_down_and_read_back(path: Path) -> None:
    with safe_open(path, framework="pt") as file:
        assert json.loads(file.metadata()["signal"]) == SIGNAL.to_dict()
    assert load_checkpoint(path).signal == SIGNAL
    rewrite(path)  # without one, as version 0.2.0 wrote them
    assert load_checkpoint(path).signal == SIGNAL


def test_an_experiment_makes_no_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a signal of the product, found an experiment"):
        save_checkpoint(tmp_path / "no.safetensors", *tiny(), METADATA, signal=Signal.of(tilt=0.5))
    assert list(tmp_path.iterdir()) == []


CALIBRATION = {"threshold": 31.0, "null_location": 13.5, "null_scale": 1.35, "bit_slope": 1.5}
NOW = {"search": DEFAULT_SEARCH.digest()}


def calibrated(path: Path, values: dict[str, object]) -> LatticeModel:
    """The model of a checkpoint with that calibration."""
    save_checkpoint(path, *tiny(), METADATA | {"calibration": values}, signal=SIGNAL)
    return load_checkpoint(path).build(name="tiny@0", keys=[None], device="cpu", precision="fp32")


def test_a_model_says_signal_and_search(tmp_path: Path) -> None:
    description = calibrated(tmp_path / "a.safetensors", CALIBRATION | {"search": DEFAULT_SEARCH.digest()}).description
    assert (description.signal, description.search) == ("wam-lattice-1", DEFAULT_SEARCH.digest())


def test_a_calibration_that_names_no_search_is_of_that_of_0_2_0(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=f"found one made with {SEARCH_OF_0_2_0}; calibrate it again"):
        calibrated(tmp_path / "a.safetensors", CALIBRATION)


def test_the_calibration_of_a_later_file_of_the_same_networks_can_be_taken(tmp_path: Path) -> None:
    earlier, later = tmp_path / "earlier.safetensors", tmp_path / "later.safetensors"
    save_checkpoint(earlier, *tiny(), METADATA | {"calibration": CALIBRATION}, signal=SIGNAL)
    save_checkpoint(later, *tiny(), METADATA | {"calibration": CALIBRATION | NOW | {"threshold": 20.0}}, signal=SIGNAL)
    taken = load_checkpoint(earlier).calibrated_as(load_checkpoint(later))
    model = taken.build(name="earlier@0", keys=[None], device="cpu", precision="fp32")
    assert model.calibration.threshold == 20.0 and taken.sha256 == load_checkpoint(earlier).sha256


def test_a_calibration_made_with_another_search_is_refused(tmp_path: Path) -> None:
    command = r"python scripts/calibrate\.py --photos FOLDER --model FILE --out FILE"
    with pytest.raises(
        ModelError,
        match=rf"a\.safetensors: expected a calibration made with search {DEFAULT_SEARCH.digest()}, "
        rf"found one made with 0123456789abcdef; calibrate it again: {command}$",
    ):
        calibrated(tmp_path / "a.safetensors", CALIBRATION | {"search": "0123456789abcdef"})


@pytest.mark.parametrize("stated", [{"search": DEFAULT_SEARCH.digest()}])
def test_another_search_does_not_take_the_calibration_of_this_one(tmp_path: Path, stated: dict[str, object]) -> None:
    changed = replace(DEFAULT_SEARCH, refinement=replace(DEFAULT_SEARCH.refinement, rounds=5))
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, *tiny(), METADATA | {"calibration": CALIBRATION | stated}, signal=SIGNAL)
    checkpoint = load_checkpoint(path)
    problem = f"with search {changed.digest()}, found one made with {DEFAULT_SEARCH.digest()}; calibrate it again"
    with pytest.raises(ModelError, match=problem):
        checkpoint.build(name="tiny@0", keys=[None], device="cpu", precision="fp32", config=changed)


@pytest.mark.parametrize("values", [NOW, NOW | {"threshold": 31.0}, NOW | CALIBRATION | {"slope": 1.0}])
def test_half_a_calibration_is_refused(tmp_path: Path, values: dict[str, object]) -> None:
    with pytest.raises(ModelError, match="expected a calibration of threshold, null_location, null_scale, bit_slope,"):
        calibrated(tmp_path / "a.safetensors", values)


def test_files_that_mark_the_same_are_named(tmp_path: Path) -> None:
    path = tmp_path / "again.safetensors"
    metadata = METADATA | {"calibration": CALIBRATION | NOW}
    save_checkpoint(path, *tiny(), metadata, signal=SIGNAL, same_as=["tiny@01234567"])
    model = load_checkpoint(path).build(name="again@89abcdef", keys=[None], device="cpu", precision="fp32")
    assert model.description.same_as == ("tiny@01234567",)


def test_tensors_that_belong_to_no_part_are_refused(path: Path) -> None:
    rewrite(path, add="decoder.weight")
    with pytest.raises(ModelError, match=r"decoder\.weight"):
        load_checkpoint(path)


@pytest.mark.parametrize(
    "header",
    [
        {"metadata": "[1]"},
        {"metadata": "null"},
        {"metadata": '"a"'},
        {"metadata": json.dumps({"calibration": [1, 2]})},
        {"metadata": json.dumps({"calibration": "none"})},
        {"metadata": json.dumps({"calibration": {**CALIBRATION, **NOW, "bit_slope": "x"}})},
        {"metadata": json.dumps({"calibration": {**CALIBRATION, **NOW, "bit_slope": None}})},
        {"metadata": json.dumps({"calibration": {**CALIBRATION, **NOW, "bit_slope": -1.0}})},
        {"architecture": json.dumps({"embedder": {"channels": -1}, "extractor": {"channels": 8, "blocks": 2}})},
        {"architecture": "[]"},
        {"signal": "[]"},
        {"signal": "null"},
        {"signal": "{not json"},
        {"signal": json.dumps({"version": 1, "band": None})},
    ],
)
def test_a_damaged_header_is_one_line_that_names_the_file(path: Path, header: dict[str, str]) -> None:
    rewrite(path, **header)
    with pytest.raises(ModelError, match="expected") as refused:
        load_checkpoint(path).build(name="a@00000000", keys=[None], device="cpu", precision="fp32")
    assert str(refused.value).startswith(f"{path}: ") and "\n" not in str(refused.value)
