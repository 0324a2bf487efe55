"""Files of Meta's weights: every way they are written is read, and anything else is refused by key."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from tests.wam.models.meta.meta_weights import empty_model, filled_model, slopes
from wam.errors import ModelError
from wam.models.meta import MetaModel, load_weights, save_weights
from wam.models.meta.weights import MetaWeights, is_meta
from wam.models.zoo import open_checkpoint
from wam.watermarker import load

KEY = "embedder.encoder.conv_in.bias"
Write = Callable[..., Path]


def constant_weights() -> dict[str, Tensor]:
    """All keys at their shapes, in a file of some kilobytes: one value each, repeated by the strides."""
    return {key: torch.full((1,), 0.5).expand(tensor.shape) for key, tensor in empty_model().state_dict().items()}


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Writes a torch file under a name."""

    def to_file(values: Any, name: str = "wam_mit.pth", **options: Any) -> Path:
        torch.save(values, tmp_path / name, **options)
        return tmp_path / name

    return to_file


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as error:
        load_weights(path)
    message = str(error.value)
    assert message.startswith(f"{path}: expected") and "\n" not in message and "give wam_mit.pth" in message
    return message


def test_the_published_file_is_read(write: Write) -> None:
    path = write(constant_weights())
    weights = load_weights(path)
    assert len(weights.tensors) == 432
    assert weights.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert weights.parameters == {"embedder": 1_105_639, "extractor": 93_310_961}


@pytest.mark.parametrize(
    ("name", "licence"), [("wam_mit.pth", "MIT"), ("wam_coco.safetensors", "CC-BY-NC"), ("other.pth", None)]
)
def test_the_licence_is_known_by_the_name(name: str, licence: str | None) -> None:
    weights = MetaWeights(Path("weights") / name, "0" * 64, {}, {})
    assert weights.licence == (licence and f"{licence}, by the file's name")
    assert replace(weights, metadata={"licence": "mine"}).licence == "mine"


def test_a_training_checkpoint_is_read(write: Write) -> None:
    values = {f"module.{key}": tensor for key, tensor in constant_weights().items()}
    path = write({"epoch": 299, "model": values, "optimizer": {"state": {}}, "optimizer_d": {}, "scheduler": {}})
    assert load_weights(path).tensors.keys() == constant_weights().keys()


def test_the_format_torch_wrote_before_is_read(write: Write) -> None:
    path = write(constant_weights(), _use_new_zipfile_serialization=False)
    assert is_meta(path) and len(load_weights(path).tensors) == 432


def test_half_precision_is_read_as_float(write: Write) -> None:
    values = constant_weights()
    halves = {key: values[key].half() for key in values if key.startswith("embedder.")}
    assert {tensor.dtype for tensor in load_weights(write(values | halves)).tensors.values()} == {torch.float32}


def test_a_loaded_model_has_the_files_weights(write: Write) -> None:
    marker = load(write(constant_weights()), device="cpu")
    assert isinstance(marker.model, MetaModel) and not marker.model.training
    assert {float(weight.detach().max()) for weight in marker.model.parameters()} == {0.5}
    assert marker.model.description.licence == "MIT, by the file's name"
    assert marker.name.startswith("wam_mit@") and len(marker.name) == len("wam_mit@") + 8


def test_a_key_is_refused(write: Write) -> None:
    with pytest.raises(ModelError, match=r"wam_mit\.pth: expected no key, found one; .*leave --key-file"):
        load(write(constant_weights()), device="cpu", keys=[b"sixteen bytes of secret", None])


def test_missing_and_unexpected_keys_are_named(write: Write) -> None:
    values = constant_weights()
    del values[KEY]
    values["embedder.encoder.conv_first.bias"] = torch.zeros(32)
    message = refusal(write(values))
    assert f"1 missing ({KEY}), 1 unexpected (embedder.encoder.conv_first.bias)" in message


def test_many_keys_are_counted(write: Write) -> None:
    message = refusal(write({"conv1.weight": torch.zeros(3)}))
    assert "expected the 432 tensors of Meta's WAM, found 432 missing (" in message
    assert "...), 1 unexpected (conv1.weight)" in message


def test_another_shape_is_named(write: Write) -> None:
    message = refusal(write(constant_weights() | {KEY: torch.zeros(48)}))
    assert f"1 of another shape ({KEY} 48 for 32)" in message


def test_a_value_that_is_no_tensor_is_named(write: Write) -> None:
    assert f"({KEY} str for 32)" in refusal(write(constant_weights() | {KEY: "none"}))


def test_values_that_are_no_numbers_are_named(write: Write) -> None:
    assert f"1 not finite ({KEY})" in refusal(write(constant_weights() | {KEY: torch.full((32,), float("nan"))}))


def test_a_file_that_is_no_state_dict_is_refused(write: Write) -> None:
    assert "expected a state dict, found list" in refusal(write([1, 2]))


class Payload:
    """Stands for code that a pickle would run."""

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return print, ("this must not run",)


def test_a_file_with_code_is_refused_and_not_run(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    assert "expected a torch file of plain tensors, found:" in refusal(write(constant_weights() | {"x": Payload()}))
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("content", [b"PK\x03\x04 not a zip", b"\x80\x02 not a pickle"])
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "wam_mit.pth").write_bytes(content)
    assert "expected a torch file of plain tensors, found:" in refusal(tmp_path / "wam_mit.pth")


def test_a_truncated_file_is_refused(write: Write) -> None:
    path = write(constant_weights())
    path.write_bytes(path.read_bytes()[:-1000])
    refusal(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "found none (No such file" in refusal(tmp_path / "wam_mit.pth")


@pytest.mark.parametrize("name", ["wam_mit", "weights/wam_coco.pth"])
def test_the_name_alone_is_refused_with_what_to_do(name: str) -> None:
    with pytest.raises(ModelError, match=f"^{name}: expected the path of Meta's weights, found no such file"):
        open_checkpoint(name)


def test_what_is_meta_is_told_by_content(write: Write, tmp_path: Path) -> None:
    assert is_meta(write(constant_weights(), "a.bin"))
    save_file({"embedder.msg_processor.msg_embeddings.weight": torch.zeros(64, 64)}, tmp_path / "b.bin")
    assert is_meta(tmp_path / "b.bin")
    save_file({"embedder.stem.weight": torch.zeros(1)}, tmp_path / "c.bin")
    (tmp_path / "d.bin").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert not any(is_meta(tmp_path / name) for name in ("c.bin", "d.bin", "none.bin"))


def test_safetensors_with_other_keys_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "some.safetensors"
    save_file({"embedder.msg_processor.msg_embeddings.weight": torch.zeros(64, 64)}, path)
    assert "found 431 missing (" in refusal(path)


@pytest.mark.slow  # 378 MB written twice
def test_converting_keeps_every_value(tmp_path: Path) -> None:
    model = filled_model()
    torch.save(model.state_dict(), tmp_path / "wam_mit.pth")
    first = load_weights(tmp_path / "wam_mit.pth")
    path = tmp_path / "mine.safetensors"
    digest = save_weights(path, first)
    assert digest == hashlib.sha256(path.read_bytes()).hexdigest()
    assert path.stat().st_mode == (tmp_path / "wam_mit.pth").stat().st_mode
    again = load_weights(path)
    assert again.licence == "MIT"
    assert again.metadata["converted_from"] == {"file": "wam_mit.pth", "sha256": first.sha256}
    assert all(torch.equal(tensor, load_file(path)[key]) for key, tensor in list(first.tensors.items())[::40])
    reader = load(path, device="cpu")
    assert torch.equal(
        reader.predict(slopes(64, 64)), load(tmp_path / "wam_mit.pth", device="cpu").predict(slopes(64, 64))
    )
    with torch.no_grad():
        torch.testing.assert_close(reader.model.extract(slopes(64, 64)), model.extract(slopes(64, 64)))
    save_weights(path, again, licence="another")
    assert load_weights(path).licence == "another"
    assert load_weights(path).metadata["converted_from"]["file"] == "mine.safetensors"
