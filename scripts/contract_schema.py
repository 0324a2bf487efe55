"""Writes what `wam.pipeline.contract` says as a JSON Schema, or as the tables of docs/json.md.

    python scripts/contract_schema.py            # writes wam/pipeline/contract.schema.json
    python scripts/contract_schema.py --table    # prints the tables

A test holds both files against the module, and every line that the commands print against the schema.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

from pydantic import TypeAdapter

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from wam.pictures.atomic_write import save_atomically
from wam.pipeline import contract

OBJECTS = (contract.EmbedObject, contract.DetectObject)
PLACE = Path(contract.__file__).with_name("contract.schema.json")


def schema() -> dict[str, Any]:
    """One document: the objects of both commands, and what they are made of, under ``$defs``."""
    definitions: dict[str, Any] = {}
    for kind in OBJECTS:
        own = TypeAdapter(kind).json_schema()
        definitions |= own.pop("$defs", {})
        definitions[kind.__name__] = own
    for name, values in definitions.items():
        kind = getattr(contract, name)
        values["description"] = " ".join((kind.__doc__ or "").split())
        for key, meaning in meanings(kind).items():
            values["properties"][key]["description"] = meaning.replace("``", "")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"Output of wam embed --json and wam detect --json, version {contract.SCHEMA}",
        "oneOf": [{"$ref": f"#/$defs/{kind.__name__}"} for kind in OBJECTS],
        "$defs": dict(sorted(definitions.items())),
    }


def meanings(kind: type) -> dict[str, str]:
    """What is said of each field, by its name."""
    said = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        while hint is not None and get_origin(hint) is not Annotated:
            hint = next(iter(get_args(hint)), None)  # within NotRequired
        if hint is not None:
            said[name] = str(hint.__metadata__[0])
    return said


def table(kind: type) -> str:
    """The fields of an object as a Markdown table."""
    said = meanings(kind)
    rows = [f"| `{name}` | {said[name].replace('``', '`')} |" for name in get_type_hints(kind) if name in said]
    return "\n".join(["| field | meaning |", "|---|---|", *rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="print the tables of docs/json.md")
    if parser.parse_args().table:
        print("\n\n".join(table(kind) for kind in (*OBJECTS, contract.WatermarkObject)))
        return
    text = json.dumps(schema(), indent=2) + "\n"
    save_atomically(PLACE, lambda temporary: temporary.write_text(text, encoding="utf-8"))


if __name__ == "__main__":
    main()
