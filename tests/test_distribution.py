"""What is shipped: the source archive and the wheel, built without a network, and the wheel installed and used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
import tarfile
import tomllib
import venv
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "wam" / "samples" / "dune.jpg"
WEIGHTS = "wam/weights/lattice32.safetensors"

wheels = pytest.importorskip("hatchling.builders.wheel", reason="needs hatchling")
archives = pytest.importorskip("hatchling.builders.sdist", reason="needs hatchling")


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source archive of this tree, with a run and another output lying about."""
    (built,) = archives.SdistBuilder(str(ROOT)).build(directory=str(tmp_path_factory.mktemp("sdist")))
    return Path(built)


@pytest.fixture(scope="module")
def source(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive unpacked."""
    folder = tmp_path_factory.mktemp("source")
    with tarfile.open(archive) as content:
        content.extractall(folder, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
    (inner,) = folder.iterdir()
    return inner


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, made of the archive as pip does."""
    folder = tmp_path_factory.mktemp("wheel")
    (built,) = wheels.WheelBuilder(str(source)).build(directory=str(folder), versions=["standard"])
    return Path(built)


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment with the wheel alone; what it depends on is that of the tests, seen behind it."""
    folder = tmp_path_factory.mktemp("installed") / "venv"
    venv.create(folder, with_pip=True, symlinks=os.name != "nt")
    programs = folder / ("Scripts" if os.name == "nt" else "bin")
    command = [programs / "python", "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", wheel]
    subprocess.run(command, check=True, timeout=300, env=environment())
    purelib = sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)})
    # a folder in a .pth file comes last, and its own .pth files, an editable checkout say, do not count
    behind = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    Path(purelib, "tests.pth").write_text("".join(f"{place}\n" for place in behind))
    return programs


def environment(**more: str) -> dict[str, str]:
    """Without what would bring the checkout, or another registry, back in."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "WAM_KEY", "WAM_REGISTRY")}
    return kept | {"OMP_NUM_THREADS": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1"} | more


def run(*command: object, folder: Path, status: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, env=environment(**more), capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == status, done.stdout + done.stderr
    return done


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """A folder outside the checkout."""
    assert not tmp_path.is_relative_to(ROOT)
    return tmp_path


def test_the_archive_has_the_weights_and_the_page_and_no_tests_or_runs(source: Path) -> None:
    names = {path.relative_to(source).as_posix() for path in source.rglob("*") if path.is_file()}
    assert {"pyproject.toml", "README.md", "LICENSE", "Makefile", "checkpoints/lattice32.safetensors"} <= names
    assert {name.split("/")[0] for name in names} & {"tests", "runs", ".ci", ".git", ".venv", "demo"} == set()
    assert "checkpoints/state.pt" not in names and not any("__pycache__" in name for name in names)
    assert {"wam/samples/dune.jpg", "docs/install.md", "scripts/train.py"} <= names


def test_the_wheel_has_the_weights_and_nothing_beside_the_packages(wheel: Path) -> None:
    with ZipFile(wheel) as content:
        names = set(content.namelist())
        assert content.read(WEIGHTS) == (ROOT / "checkpoints" / "lattice32.safetensors").read_bytes()
        metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
        fields = content.read(metadata).decode()
    assert {f"{package}/py.typed" for package in ("wam", "attacks", "payload")} <= names
    for path in (ROOT / "wam").rglob("*"):  # pages, schemas and photos that modules read
        if path.is_file() and path.suffix not in (".pyc", ".safetensors"):
            assert path.relative_to(ROOT).as_posix() in names
    top = {name.split("/")[0] for name in names if not name.startswith("wam_toolkit-")}
    assert top == {"wam", "attacks", "payload"}
    assert not any("tests" in name or "runs/" in name or name.endswith(".pyc") for name in names)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extra in project["optional-dependencies"]:
        assert f"Provides-Extra: {extra}" in fields


def test_the_wheel_marks_and_reads_from_another_folder(installed: Path, elsewhere: Path) -> None:
    shutil.copy(SAMPLE, elsewhere / "in.jpg")
    wam, options = installed / "wam", {"WAM_REGISTRY": str(elsewhere / "registry.sqlite")}
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run(wam, "--version", folder=elsewhere).stdout == f"wam {version}\n"
    assert "lattice32" in run(wam, "model", "list", folder=elsewhere).stdout
    run(wam, "embed", "in.jpg", "--asset", "7", "--owner", "acme", "-o", "out.jpg", folder=elsewhere, **options)
    found = json.loads(run(wam, "detect", "out.jpg", "--json", folder=elsewhere, **options).stdout)
    (mark,) = found["watermarks"]
    assert (mark["status"], mark["record"]["asset"]) == ("verified", "7")


def test_what_is_imported_is_the_wheel_s(installed: Path, elsewhere: Path) -> None:
    code = (
        "from importlib.util import find_spec as f; print(*(f(name).origin for name in ('wam', 'attacks', 'payload')))"
    )
    places = run(installed / "python", "-c", code, folder=elsewhere).stdout.split()
    assert [Path(place).parent.name for place in places] == ["wam", "attacks", "payload"]
    for place in map(Path, places):
        assert place.is_relative_to(installed.parent) and not place.is_relative_to(ROOT)


@pytest.fixture
def crowded(elsewhere: Path) -> Path:
    """A person's folder whose own modules have the names of ours."""
    (elsewhere / "attacks").mkdir()
    (elsewhere / "attacks" / "__init__.py").write_text("raise SystemExit('the wrong attacks')\n")
    (elsewhere / "payload.py").write_text("raise SystemExit('the wrong payload')\n")
    shutil.copy(SAMPLE, elsewhere / "in.jpg")
    return elsewhere


@pytest.mark.parametrize("how", [("wam",), ("python", "-m", "wam"), ("python", "-P", "-m", "wam")])
def test_modules_of_that_name_where_one_works_are_not_taken(
    installed: Path, crowded: Path, how: tuple[str, ...]
) -> None:
    program = (installed / how[0], *how[1:])
    made = run(*program, "registry", "list", "--registry", crowded / "none.sqlite", folder=crowded, status=2)
    assert "none.sqlite: expected" in made.stderr  # from within our own payload


def test_python_m_wam_attacks_with_its_own(installed: Path, crowded: Path) -> None:
    run(installed / "python", "-m", "wam", "attack", "in.jpg", "hflip", "-o", "out.png", folder=crowded)
    assert (crowded / "out.png").exists()


@pytest.mark.parametrize("how", [("wam",), ("python", "-m", "wam")])
def test_modules_of_that_name_that_are_in_front_are_one_line(
    installed: Path, crowded: Path, how: tuple[str, ...]
) -> None:
    program = (installed / how[0], *how[1:])
    done = run(*program, "registry", "list", folder=crowded, status=2, PYTHONPATH=str(crowded))
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: {crowded / 'attacks'}") and line.endswith("found another; move it")


def test_a_wheel_without_its_weights_says_so(installed: Path, elsewhere: Path) -> None:
    code = "import wam; print(wam.__file__)"
    (weights,) = Path(run(installed / "python", "-c", code, folder=elsewhere).stdout.strip()).parents[1].glob(WEIGHTS)
    weights.rename(elsewhere / weights.name)
    try:
        done = run(installed / "wam", "model", "info", folder=elsewhere, status=2)
    finally:
        (elsewhere / weights.name).rename(weights)
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ") and "expected a checkpoint, found none" in line and "reinstall" in line
