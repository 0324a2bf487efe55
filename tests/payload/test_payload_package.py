from __future__ import annotations

import doctest
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

import payload

ROOT = Path(payload.__file__).parents[1]

MODULES = sorted(
    path.relative_to(ROOT).with_suffix("").as_posix().replace("/", ".")
    for path in (ROOT / "payload").rglob("[a-z]*.py")
)


def test_all_names_what_can_be_imported() -> None:
    assert payload.__all__ == sorted(payload.__all__) and dir(payload) == payload.__all__
    for name in payload.__all__:
        assert getattr(payload, name).__module__.startswith("payload.")
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        payload.nonsense  # noqa: B018


@pytest.mark.parametrize("name", MODULES)
def test_examples_in_docstrings_hold(name: str) -> None:
    assert doctest.testmod(import_module(name)).failed == 0


def test_the_package_needs_neither_torch_nor_a_database() -> None:
    heavy = "{'torch', 'wam', 'sqlalchemy', 'platformdirs', 'numpy'}"
    code = f"import sys, payload; sys.exit(str({heavy} & set(sys.modules) or ''))"
    environment = {"PYTHONPATH": str(Path(payload.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""


def test_the_registry_needs_no_torch() -> None:
    code = "import sys, payload.registry.store; sys.exit(str({'torch', 'wam'} & set(sys.modules) or ''))"
    environment = {"PYTHONPATH": str(Path(payload.__file__).parents[1])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.strip() == ""
