"""The package as a whole: public names, versions, examples, and what an import costs."""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
import tomllib
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load, save
from segment_anything.modeling import ImageEncoderViT
from torchvision.ops import roi_align

import wam

ROOT = Path(wam.__file__).parents[1]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "wam").rglob("*.py")
    if not path.stem.startswith("__")
)


def python(code: str) -> str:
    """What another interpreter prints, warnings being errors."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_all_names_what_can_be_imported() -> None:
    assert wam.__all__ == sorted(wam.__all__)
    for name in wam.__all__:
        value = getattr(wam, name)
        assert value.__module__.startswith("wam.") and value.__name__ == name


@pytest.mark.parametrize("before", ["", "wam.load; import wam.cli; "])
def test_dir_shows_the_public_names_and_the_version_only(before: str) -> None:
    assert python(f"import wam; {before}print(*dir(wam))").split() == sorted([*wam.__all__, "__version__"])


def test_other_names_are_not_there() -> None:
    with pytest.raises(AttributeError, match="module 'wam' has no attribute 'watermark'"):
        wam.watermark  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_every_module_can_be_imported_and_its_examples_hold(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_version_is_the_same_everywhere() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)
    assert newest is not None
    assert wam.__version__ == project["version"] == newest[1] == version("wam-toolkit")


def test_torchvision_fits_this_torch() -> None:
    """Its compiled part is built for one version of torch and fails with any other, not on import but on use."""
    picture = torch.rand(1, 3, 20, 30, generator=torch.Generator().manual_seed(0))
    whole = torch.tensor([[0.0, 0.0, 30.0, 20.0]])  # left, top, right, bottom
    assert torch.equal(roi_align(picture, [whole], (20, 30), sampling_ratio=1, aligned=True), picture)


def test_segment_anything_s_encoder_is_saved_and_loaded() -> None:
    """The way Meta's weights go, at a small size."""
    options = {"img_size": 64, "embed_dim": 24, "depth": 2, "num_heads": 2, "out_chans": 8, "use_rel_pos": True}
    first, second = (ImageEncoderViT(**options, window_size=2, global_attn_indexes=(1,)).eval() for _ in range(2))
    second.load_state_dict(load(save(first.state_dict())))
    images = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        assert first(images).shape == (1, 8, 4, 4)
        assert torch.equal(first(images), second(images))


HEAVY = "{'torch', 'scipy', 'sqlalchemy', 'numpy'} & set(sys.modules) or ''"


def test_help_does_not_wait_for_torch() -> None:
    assert python(f"import sys, wam, wam.cli; print({HEAVY})") == ""


def test_the_list_of_models_does_not_wait_for_torch() -> None:
    imports = "import sys; from typer.testing import CliRunner; from wam.cli import app"
    run = "told = CliRunner().invoke(app, ['model', 'list'])"
    assert python(f"{imports}; {run}; assert 'lattice32' in told.stdout; print({HEAVY})") == ""


def test_reading_a_picture_loads_nothing_that_it_does_not_need(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "XDG_DATA_HOME"):  # where the user's own registry would be
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.delenv("WAM_REGISTRY", raising=False)
    Image.new("RGB", (96, 96), "teal").save(tmp_path / "in.png")
    needless = "{'sqlalchemy', 'segment_anything', 'skimage', 'kornia', 'wam.pictures.overlay', 'wam.html_page'}"
    imports = "import sys; from typer.testing import CliRunner; from wam.cli import app"
    run = f"told = CliRunner().invoke(app, ['detect', '{tmp_path / 'in.png'}'])"
    said = python(f"{imports}; {run}; print(told.exit_code, 'torch' in sys.modules, {needless} & set(sys.modules))")
    assert said == "1 True set()"


@pytest.mark.skipif(not Path("/proc/self/task").exists() or os.cpu_count() == 1, reason="needs Linux and two CPUs")
def test_numpy_starts_no_threads_beside_the_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    count = "len(os.listdir('/proc/self/task'))"
    assert python(f"import os, wam.cli, numpy; print({count})") == "1"
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "2")
    assert python(f"import os, wam.cli, numpy; print({count})") == "2"  # who asks for threads gets them


def test_python_m_wam_is_the_command_line() -> None:
    assert (
        python("import runpy, sys; sys.argv = ['wam', '--version']; runpy.run_module('wam', run_name='__main__')")
        == f"wam {wam.__version__}"
    )


def test_nothing_is_printed_or_warned_about_on_import() -> None:
    assert python("import wam; wam.load") == ""


@pytest.mark.parametrize(("inner", "outer"), [("wam", "tests"), ("payload", "torch")])
def test_no_module_imports_what_its_package_does_without(inner: str, outer: str) -> None:
    imports = re.compile(rf"^\s*(from|import) {outer}\b", flags=re.MULTILINE)
    assert [path.name for path in (ROOT / inner).rglob("*.py") if imports.search(path.read_text())] == []
