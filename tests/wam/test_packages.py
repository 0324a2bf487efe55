"""Each command needs the packages that its row names and no other; one that is missing is one line."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import wam
from wam.models.meta.extractor import MetaExtractor
from wam.packages import DISTRIBUTIONS, EXTRAS, NEEDS, MissingPackageError, missing, require

ROOT = Path(wam.__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
ALL = {module for row in NEEDS.values() for module in row}
OTHERS = {
    "pycvvdp",
    "flip_evaluator",
    "fsspec",
    "cryptography",
    "psycopg",
    "ray",
    "pillow_heif",
    "pillow_jxl",
    "imagecodecs",
    "imwatermark",
    "cv2",
}
OTHERS |= {"alembic", "mako"}
HIDE = "import sys\nfor name in {hidden!r}: sys.modules[name] = None\n"  # as if it were not installed
TINY = ("--attacks", "identity", "--limit", "1", "--size", "96", "--workers", "1")
COMMANDS = {
    "wam embed": ("embed", "in.jpg", "--asset", "7", "--owner", "acme", "-o", "out.jpg"),
    "wam detect": ("detect", "in.jpg"),
    "wam watch": ("watch", ".", "out", "--asset", "7", "--owner", "acme", "--once", "--settle", "0"),
    "wam registry": ("registry", "list"),
    "wam key": ("key", "new", "secret.key"),
    "wam serve keys": ("serve", "keys", "list"),
    "wam model list": ("model", "list"),
    "wam model info": ("model", "info"),
    "wam attack": ("attack", "in.jpg", "jpeg=80,rotate=10,hue=0.1", "-o", "out.png"),
    "wam bench": ("bench", *TINY),
    "wam bench --out": ("bench", *TINY, "--out", "report"),
    "wam bench --cost": ("bench", *TINY, "--cost", "short"),
}
LOOKS = ("bench", "--limit", "1", "--size", "96", "--workers", "1", "--visibility", "looks")
SERVING = {
    "app",
    "asked",
    "bodies",
    "front",
    "gate",
    "house",
    "marking",
    "marking_jobs",
    "metrics",
    "rates",
    "reading",
    "records",
    "server",
    "soft_bindings",
    "tokens",
}
STATUS = {"wam detect": 1}  # nothing is found, as in grep
SAID = {
    "wam watch": "note: watching .; Ctrl-C ends it\n1 marked, 0 moved aside\n",
    "wam detect": "note: a mark that was made with a key is found with that key only: --key-file\n",
}


def without(hidden: set[str], *command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A command on a machine where some packages are not installed."""
    code = HIDE.format(hidden=sorted(hidden)) + "from wam.__main__ import main\nsys.argv[0] = 'wam'\nmain()\n"
    registry = str(folder / "registry.sqlite")
    environment = {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "WAM_REGISTRY": registry,
        "PATH": "",
        "HOME": str(folder),
    }
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *command], cwd=folder, env=environment, capture_output=True,
        text=True, check=False, timeout=300,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a photo, and a registry that holds nothing."""
    from PIL import Image

    from payload.registry import Registry

    Image.open(ROOT / "wam" / "samples" / "dune.jpg").reduce(4).save(tmp_path / "in.jpg")
    Registry.open(str(tmp_path / "registry.sqlite"), create=True)
    return tmp_path


@pytest.mark.parametrize("command", [name for name in COMMANDS if name not in ("wam bench --out", "wam bench --cost")])
def test_a_command_does_without_what_its_row_does_not_name(command: str, folder: Path) -> None:
    done = without((ALL | OTHERS) - set(NEEDS[command]), *COMMANDS[command], folder=folder)
    assert (done.returncode, done.stderr) == (STATUS.get(command, 0), SAID.get(command, ""))


def test_marks_are_looked_at_without_the_packages_of_the_extra(folder: Path) -> None:
    done = without((ALL | OTHERS) - set(NEEDS["wam bench"]), *LOOKS, folder=folder)
    assert (done.returncode, done.stderr) == (0, "")
    remedy = "pip install cvvdp flip-evaluator  # the extra [visibility]"
    assert f"ColorVideoVDP and FLIP are not measured: {remedy}" in done.stdout
    assert "mean CVVDP not installed; FLIP not installed; PSNR " in done.stdout
    page = (folder / "looks" / "visibility.html").read_text(encoding="utf-8")
    assert remedy in page and "CVVDP not installed" in page


@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("skimage", "wam embed"),
        ("skimage", "wam detect"),
        ("kornia", "wam attack"),
        ("kornia", "wam bench"),
        ("piq", "wam bench"),
        ("torchvision", "wam bench"),
        ("matplotlib", "wam bench --out"),
        ("segment_anything", "wam bench --cost"),
        ("torch", "wam detect"),
        ("sqlalchemy", "wam embed"),
    ],
)
def test_a_missing_package_is_one_line(module: str, command: str, folder: Path) -> None:
    before = sorted(folder.iterdir())
    done = without({module}, *COMMANDS[command], folder=folder)
    name = DISTRIBUTIONS.get(module, module)
    extra = f"  # the extra [{EXTRAS[module]}]" if module in EXTRAS else ""
    assert (
        done.stderr
        == f"error: {command}: expected the package {name}, found none; install it: pip install {name}{extra}\n"
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert sorted(folder.iterdir()) == before  # nothing was begun


def test_one_that_no_row_names_is_one_line_too(folder: Path) -> None:
    (folder / "key").write_text("sixteen bytes of secret")
    done = without({"cryptography"}, *COMMANDS["wam embed"], "--key-file", "key", folder=folder)
    assert done.returncode == 2
    assert (
        done.stderr
        == "error: wam: expected the package cryptography, found none; install it: pip install cryptography\n"
    )


def test_no_module_needs_the_heavy_ones_to_be_imported() -> None:
    modules = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for package in ("wam", "attacks", "payload")
        for path in sorted((ROOT / package).rglob("*.py"))
        if not path.stem.startswith("__")
        and path.parent.name != "versions"  # steps that Alembic alone imports
        and not (path.parent.name == "service" and path.stem in SERVING)
    ]
    code = HIDE.format(hidden=["skimage", *sorted({*EXTRAS, *OTHERS})])
    code += f"import importlib\nfor name in {modules!r}: importlib.import_module(name)\n"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, timeout=300)


@pytest.mark.parametrize("module", ["segment_anything", "torchvision"])
def test_metas_model_names_its_package(module: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingPackageError, match=rf"^Meta's WAM: .* {DISTRIBUTIONS.get(module, module)}, found none"):
        MetaExtractor()


def test_what_an_error_says_of_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piq", None)
    with pytest.raises(ModuleNotFoundError) as caught:
        importlib.import_module("piq.losses")
    assert str(missing(caught.value)).startswith(
        "wam: expected the package piq, found none; install it: pip install piq"
    )
    wrapped = ValueError("no figure")
    wrapped.__cause__ = caught.value
    assert str(missing(wrapped)) == str(missing(caught.value))
    assert missing(ValueError()) is None and missing(ModuleNotFoundError(name="wam.none")) is None
    with pytest.raises(MissingPackageError, match="test: expected the package piq"):
        require("numpy", "piq", needed_by="test")


def requirements(lines: list[str]) -> set[str]:
    return {Requirement(line).name for line in lines}


def test_extras_name_what_the_default_installation_brings() -> None:
    extras, default = PROJECT["optional-dependencies"], requirements(PROJECT["dependencies"])
    for module, extra in EXTRAS.items():
        assert DISTRIBUTIONS.get(module, module) in requirements(extras[extra])
    assert requirements(extras["bench"]) | requirements(extras["meta"]) <= default
    service = requirements(extras["service"])
    optional = service | requirements(extras["c2pa"]) | requirements(extras["fingerprint"])
    assert {DISTRIBUTIONS.get(module, module) for module in ALL} <= default | optional


def test_the_page_says_what_each_command_needs() -> None:
    page = (ROOT / "docs" / "install.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(wam [^`]+)` \| (.*) \|$", page, flags=re.MULTILINE))
    assert rows == {
        command: ", ".join(DISTRIBUTIONS.get(module, module) for module in row) or "nothing more"
        for command, row in NEEDS.items()
    }


def test_makefile_and_dockerfile_ask_for_the_same_torch() -> None:
    wanted = [line for line in PROJECT["dependencies"] if line.startswith("torch")]
    assert len(wanted) == 2
    for file in ("Makefile", "Dockerfile"):
        text = (ROOT / file).read_text()
        assert all(line in text for line in wanted) and "https://download.pytorch.org/whl/cpu" in text


@pytest.mark.parametrize(("options", "first"), [(("CPU=1",), True), ((), False), (("CPU=",), False)])
def test_make_install_takes_torch_from_its_cpu_builds_first(
    options: tuple[str, ...], first: bool, tmp_path: Path
) -> None:
    command = [
        "make",
        "--dry-run",
        "install",
        f"VENV={tmp_path}/venv",
        "TORCH_INDEX=https://index.example/cpu",
        *options,
    ]
    try:
        said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("needs make")
    assert f"-m venv {tmp_path}/venv" in said and "--editable '.'" in said
    assert ("--index-url https://index.example/cpu 'torch>=2.4' 'torchvision>=0.19'" in said) == first
    if first:
        assert said.index("index.example") < said.index("--editable '.'")
