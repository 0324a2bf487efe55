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
    assert set(wam._HOMES) == set(wam.__all__)


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


@pytest.mark.parametrize("name", ["torchvision", "segment_anything"])
def test_companion_packages_work(name: str) -> None:
    import_module(name)


def test_help_does_not_wait_for_torch() -> None:
    assert python("import sys, wam, wam.cli; print({'torch', 'scipy', 'sqlalchemy'} & set(sys.modules) or '')") == ""


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
        python("import runpy, sys; sys.argv = ['wam', '--version']; runpy.run_module('wam')")
        == f"wam {wam.__version__}"
    )


def test_nothing_is_printed_or_warned_about_on_import() -> None:
    assert python("import wam; wam.load") == ""


@pytest.mark.parametrize(("inner", "outer"), [("wam", ("scripts", "tests")), ("payload", ("wam", "attacks", "torch"))])
def test_inner_rings_do_not_import_outer_ones(inner: str, outer: tuple[str, ...]) -> None:
    imports = re.compile(rf"^\s*(from|import) ({'|'.join(outer)})\b", flags=re.MULTILINE)
    assert [path.name for path in (ROOT / inner).rglob("*.py") if imports.search(path.read_text())] == []
