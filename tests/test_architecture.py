"""The rings of ``docs/architecture.md``, held against the imports of every module.

The page's table is the only statement of what may import what; this file reads it and the syntax trees, and imports
none of the modules.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import takewhile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGES = ("wam", "payload", "attacks", "scripts")


@dataclass(frozen=True)
class Import:
    """``importer`` and ``target`` are modules; ``runs``: it is executed when the importer is first imported."""

    importer: str
    target: str
    runs: bool


@dataclass(frozen=True)
class House:
    """The page's table: ``floor`` of each room, 0 the highest, the rooms it may import ``beside`` those below, and the
    modules and folders that its line ``names``."""

    floor: dict[str, int]
    beside: dict[str, frozenset[str]]
    names: dict[str, frozenset[str]]

    def allows(self, importer: str, target: str) -> bool:
        """Whether a room may import another."""
        if importer == target or target in self.beside[importer]:
            return True
        return target not in APART and importer not in APART and self.floor[target] > self.floor[importer]


APART = ("payload", "attacks")  # below no ring: who may import them is named in the table


def read_house(page: str) -> House:
    """The table of rooms: ring, room, what it holds, rooms it may import beside the rings below.

    A row without a ring belongs to the ring of the row above.
    """
    lines = page.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("| ring | room |"))
    table = takewhile(lambda line: line.startswith("|"), lines[start + 2 :])
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table]
    floor: dict[str, int] = {}
    beside: dict[str, frozenset[str]] = {}
    names: dict[str, frozenset[str]] = {}
    level = -1
    for ring, room, holds, others in rows:
        level += bool(ring)
        name = room.strip("`").removesuffix(".py").rstrip("/")
        floor[name] = level
        names[name] = frozenset(re.findall(r"`(\w+)/?`", holds))
        beside[name] = frozenset(re.findall(r"`(\w+)/?(?:\.py)?`", others))
    return House(floor, beside, names)


def module_files() -> dict[str, Path]:
    """Every module of the packages by its dotted name."""
    files = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            files[".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")] = path
    return files


def room_of(module: str) -> str:
    """The room a module belongs to: a folder or file of ``wam``, or one of the other packages."""
    package, *inside = module.split(".")
    return inside[0] if package == "wam" and inside else package


def imports_of(module: str, tree: ast.Module, modules: set[str], public: dict[str, str]) -> Iterator[Import]:
    """The imports of the four packages in one module. ``public``: homes of the names that ``wam`` gives lazily."""
    idle = {node for branch in ast.walk(tree) if _never_runs(branch) for node in ast.walk(branch)}
    for node in ast.walk(tree):
        targets = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0 and node.module is not None, f"{module}: import by the full name, not from dots"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                home = public.get(alias.name) if node.module == "wam" else None
                targets.append(inner if inner in modules else home or node.module)
        for target in targets:
            if target in modules:
                yield Import(module, target, node not in idle)


def _never_runs(branch: ast.AST) -> bool:
    """A function, which runs later, or what only a type checker reads."""
    if isinstance(branch, ast.If):
        return isinstance(branch.test, ast.Name) and branch.test.id == "TYPE_CHECKING"
    return isinstance(branch, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)


def all_imports(files: dict[str, Path]) -> list[Import]:
    """The imports of all modules."""
    trees = {module: ast.parse(path.read_text()) for module, path in files.items()}
    public = {found.target: found for found in imports_of("wam", trees["wam"], set(files), {})}
    homes = {
        alias.name: node.module
        for node in ast.walk(trees["wam"])
        if isinstance(node, ast.ImportFrom) and node.module in public
        for alias in node.names
    }
    return [found for module, tree in trees.items() for found in imports_of(module, tree, set(files), homes)]


def ancestors(module: str) -> Iterator[str]:
    """The packages a module lies in, inmost first."""
    while "." in module:
        module = module.rpartition(".")[0]
        yield module


FILES = module_files()
IMPORTS = all_imports(FILES)
HOUSE = read_house(PAGE.read_text())


def test_the_page_names_every_room_and_no_other() -> None:
    rooms = {room_of(module) for module in FILES} - {"wam", "__main__"}
    assert set(HOUSE.floor) == rooms


def test_the_line_of_a_room_names_its_modules() -> None:
    for module in FILES:
        package, *inside = module.split(".")
        if package == "wam" and len(inside) > 1 and inside[0] != "cli":  # named there by their commands
            assert inside[1] in HOUSE.names[inside[0]], module


def test_rooms_named_as_importable_are_rooms_of_the_same_ring_or_stand_apart() -> None:
    for room, others in HOUSE.beside.items():
        for other in others:
            assert other in APART or HOUSE.floor[other] == HOUSE.floor[room], f"{room} may import {other}"


def test_no_import_goes_up_a_ring_or_to_a_room_beside_that_the_page_does_not_name() -> None:
    against = {
        (found.importer, found.target)
        for found in IMPORTS
        if found.importer not in ("wam", "wam.__main__")  # the public names and the program's door: tested below
        and found.target != "wam"  # its version only: what else it gives counts for where it lives
        and not HOUSE.allows(room_of(found.importer), room_of(found.target))
    }
    assert not against


def test_the_public_names_live_at_the_ring_of_one_picture_or_below() -> None:
    one = HOUSE.floor["watermarker"]
    for found in IMPORTS:
        if found.importer == "wam":
            assert HOUSE.floor[room_of(found.target)] >= one, found.target
            assert not found.runs, f"wam imports {found.target} at once; ``import wam`` has to stay light"


def test_inside_the_house_wam_itself_is_asked_for_its_version_only() -> None:
    for module, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                assert "wam" not in [alias.name for alias in node.names], f"{module}: import the room, not wam"
            elif isinstance(node, ast.ImportFrom) and node.module == "wam":
                asked = {alias.name for alias in node.names if f"wam.{alias.name}" not in FILES}
                assert asked <= {"__version__"}, f"{module}: import it from its room, not from wam"


@pytest.mark.parametrize("package", APART)
def test_payload_and_attacks_know_nothing_of_wam(package: str) -> None:
    foreign = {f"{found.importer} -> {found.target}" for found in IMPORTS if room_of(found.importer) == package}
    assert {line for line in foreign if f"-> {package}" not in line} == set()


def test_no_modules_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {module: set() for module in FILES}
    for found in IMPORTS:
        if found.runs:
            own = {found.importer, *ancestors(found.importer)}
            # the packages around a target run before it; those around the importer have started already
            graph[found.importer] |= {found.target, *ancestors(found.target)} - own
            if found.target in own:  # a name that is asked of one's own package while that is still being filled
                graph[found.importer].add(found.target)
    try:
        tuple(TopologicalSorter(graph).static_order())
    except CycleError as error:
        pytest.fail(" -> ".join(reversed(error.args[1])))


def test_programs_alone_set_the_number_of_threads() -> None:
    """A service that calls the library keeps its own; the modules named here start processes of one thread each."""
    starting = {"wam.bench.parallel", "wam.bench.runner"}
    setting = {
        module
        for module, path in FILES.items()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute) and node.attr in ("set_num_threads", "set_num_interop_threads")
        if room_of(module) not in ("cli", "scripts")
    }
    assert setting <= starting


def parsed(module: str, code: str) -> list[tuple[str, bool]]:
    """What a module of this code imports, and whether at once."""
    names = {"wam", "wam.errors", "wam.watermarker", "payload", "payload.layout"}
    found = imports_of(module, ast.parse(code), names, {"load": "wam.watermarker"})
    return [(each.target, each.runs) for each in found]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import wam.errors", [("wam.errors", True)]),
        ("from wam import errors", [("wam.errors", True)]),
        ("from wam import load", [("wam.watermarker", True)]),
        ("from wam import __version__", [("wam", True)]),
        ("from payload.layout import Words", [("payload.layout", True)]),
        ("def later() -> None:\n    import payload", [("payload", False)]),
        ("if TYPE_CHECKING:\n    from wam.watermarker import Marked", [("wam.watermarker", False)]),
        ("import numpy", []),
    ],
)
def test_imports_are_seen_wherever_they_stand(code: str, expected: list[tuple[str, bool]]) -> None:
    assert parsed("wam.toy", code) == expected


def test_a_house_is_read_from_its_table() -> None:
    page = (
        "| ring | room | holds | may import beside the rings below |\n|---|---|---|---|\n"
        "| top | `cli/` | programs | `payload` |\n"
        "| low | `models/` | models | `networks` |\n"
        "| | `networks/` | networks | |\n"
        "| ground | `errors.py` | errors | |\n"
        "| apart | `payload/` | bits | |\n"
    )
    house = read_house(page)
    assert house.allows("cli", "errors") and house.allows("models", "networks") and house.allows("cli", "payload")
    assert not house.allows("networks", "models") and not house.allows("models", "cli")
    assert not house.allows("models", "payload") and not house.allows("payload", "errors")
