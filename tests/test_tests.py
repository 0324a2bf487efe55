"""Tests use what the packages offer: they import no private names and change no constants behind a module's back.

A test that patches a constant where it is defined stops testing the day the constant moves, and says nothing. Values
that a test needs otherwise are parameters, options or environment variables; functions may be replaced, by the object
they belong to, where there is no other way to make them fail.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
OURS = ("wam", "payload", "attacks", "scripts", "tests")
CONSTANT = re.compile(r"[A-Z][A-Z0-9_]+")
PATCHES = ("setattr", "delattr")
NAMED_TUPLE = ("_asdict", "_fields", "_make", "_replace")  # underscored so as not to clash with fields

ALLOWED = {
    "torch.cpu._is_avx512_bf16_supported": "older versions of torch tell what a CPU has under this name only",
    "Image.MAX_IMAGE_PIXELS": "Pillow's public setting, which its users set this way",
    "torch._C": "a tensor subclass needs DisableTorchFunction, which torch documents under this name",
}
"""What is done all the same, and why."""


def found_in(code: str) -> Iterator[tuple[int, str]]:
    """Line and name of every use of what is private or constant in a module, or in a program that it has as text."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _is_program(node.value):
            yield from ((node.lineno, name) for _, name in found_in(node.value))
        elif isinstance(node, ast.expr | ast.stmt):
            yield from ((node.lineno, name) for name in _uses(node))


def _is_program(text: str) -> bool:
    """Whether a text can be run and imports something."""
    try:
        return any(isinstance(node, ast.Import | ast.ImportFrom) for node in ast.parse(text).body)
    except (SyntaxError, ValueError):
        return False


def _uses(node: ast.AST) -> Iterator[str]:
    """What one node does that it should not."""
    if isinstance(node, ast.ImportFrom) and node.module is not None and _is_ours(node.module):
        names = [*node.module.split("."), *(alias.name for alias in node.names)]
        yield from (f"{node.module}.{name}" for name in names if _is_private(name))
    elif isinstance(node, ast.Import):
        for alias in node.names:
            if _is_ours(alias.name) and any(map(_is_private, alias.name.split("."))):
                yield alias.name
    elif isinstance(node, ast.Attribute):
        own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        changed = not isinstance(node.ctx, ast.Load) and CONSTANT.fullmatch(node.attr)
        if not own and (_is_private(node.attr) or changed):
            yield ast.unparse(node)
    elif isinstance(node, ast.Call):
        yield from _patches(node)


def _patches(call: ast.Call) -> Iterator[str]:
    """What a call of ``monkeypatch`` or ``unittest.mock`` replaces: by a text, or a constant or private name."""
    name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
    texts = [each.value if isinstance(each, ast.Constant) else None for each in call.args[:2]]
    if name in (*PATCHES, "patch") and texts and isinstance(texts[0], str):
        if _is_ours(texts[0]) or _is_internal(texts[0].rpartition(".")[2]):
            yield texts[0]
    elif name in (*PATCHES, "object") and len(texts) == 2 and isinstance(texts[1], str) and _is_internal(texts[1]):
        yield f"{ast.unparse(call.args[0])}.{texts[1]}"
    elif name in ("setitem", "delitem", "dict") and call.args:
        changed = ast.unparse(call.args[0])
        if CONSTANT.fullmatch(changed.rpartition(".")[2]):
            yield changed


def _is_ours(name: str) -> bool:
    return name.split(".")[0] in OURS


def _is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in NAMED_TUPLE


def _is_internal(name: str) -> bool:
    return _is_private(name) or CONSTANT.fullmatch(name) is not None


MODULES = sorted(set(TESTS.rglob("*.py")) - {Path(__file__).resolve()})  # what is wrong here are examples


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(TESTS).as_posix())
def test_tests_use_public_names_and_leave_constants_alone(path: Path) -> None:
    against = [(line, name) for line, name in found_in(path.read_text(encoding="utf-8")) if name not in ALLOWED]
    assert not against


def test_every_exception_is_used() -> None:
    used = {name for path in MODULES for _, name in found_in(path.read_text(encoding="utf-8"))}
    assert set(ALLOWED) <= used


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ("from wam.signal.filters import _moving_mean", ["wam.signal.filters._moving_mean"]),
        ("from wam._hidden import name", ["wam._hidden._hidden"]),
        ("import payload._hidden", ["payload._hidden"]),
        ("from __future__ import annotations", []),
        ("from wam import __version__", []),
        ("registry._engine.dispose()", ["registry._engine"]),
        ("self._shown = cls._kept", []),
        ("mark_grid.LEAST_AREA = 8000", ["mark_grid.LEAST_AREA"]),
        ("area = mark_grid.LEAST_AREA", []),
        ("run.moving = 0.5", []),
        ("CODE = '''\nimport sys\nmark_grid.LEAST_AREA = 1\n'''", ["mark_grid.LEAST_AREA"]),
        ("TEXT = '''\nimport this, they say: _no_code\n'''", []),
        ("monkeypatch.setattr('wam.training.guard.PATIENCE', 3)", ["wam.training.guard.PATIENCE"]),
        ("monkeypatch.setattr('wam.bench.plots.write_plots', fail)", ["wam.bench.plots.write_plots"]),
        ("monkeypatch.setattr(schema, 'MIGRATIONS', steps)", ["schema.MIGRATIONS"]),
        ("monkeypatch.setattr(Manifest, '_append', full)", ["Manifest._append"]),
        ("monkeypatch.setattr(plots, 'write_plots', fail)", []),
        ("monkeypatch.setattr('platformdirs.user_data_path', place)", []),
        ("patch.object(mark_grid, 'LEAST_AREA', 1)", ["mark_grid.LEAST_AREA"]),
        ("mock.patch('wam.cli.app')", ["wam.cli.app"]),
        ("monkeypatch.setitem(zoo.KNOWN, 'tiny', known)", ["zoo.KNOWN"]),
        ("monkeypatch.setitem(sys.modules, 'ray', None)", []),
    ],
)
def test_what_goes_behind_a_module_s_back_is_seen(code: str, names: list[str]) -> None:
    assert [name for _, name in found_in(code)] == names
