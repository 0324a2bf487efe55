"""``python -m wam``, and what the script ``wam`` calls: the command line, with the toolkit's own packages behind it.

``attacks`` and ``payload`` are common names. Python puts the folder that a person is in first for ``python -m``: a
``payload.py`` there would be taken for ours. So that folder is left out, as it is for the script.
"""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path

HOME = Path(__file__).resolve().parents[1]
BESIDE = ("attacks", "payload")


def main() -> None:
    """Runs the command line, or says in one line why it cannot work."""
    foreign = next(filter(None, map(_foreign, BESIDE)), None)
    if foreign is not None:
        print(f"error: {foreign}: expected wam's own package of that name, found another; move it", file=sys.stderr)
        sys.exit(2)
    from wam.cli import main as run

    run()


def _foreign(package: str) -> str | None:
    """Where a package is found that is not the one beside ``wam``; None where it is."""
    found = find_spec(package)
    if found is None:
        return package
    places = [found.origin] if found.origin else list(found.submodule_search_locations or ())
    if any(Path(place).resolve().is_relative_to(HOME / package) for place in places):
        return None
    return ascii(places[0])[1:-1] if places else package


def leave_out_current_folder() -> None:
    """Takes away what ``python -m`` puts in front, unless the toolkit itself is there: a source tree."""
    if sys.path and not sys.flags.safe_path and Path(sys.path[0] or os.curdir).resolve() == Path.cwd() != HOME:
        del sys.path[0]


if __name__ == "__main__":
    leave_out_current_folder()
    main()
