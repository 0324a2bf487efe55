"""The entry for the public list of algorithms is about the algorithm that this version signs with."""

from __future__ import annotations

import json
import re
from pathlib import Path

from wam.signal.specification import SIGNAL

PAGE = Path(__file__).resolve().parents[2] / "docs" / "soft-binding.md"


def test_the_entry_is_json_about_this_signal() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    entry = json.loads(block)
    assert (entry["alg"], entry["type"], entry["decodedMediaTypes"]) == (SIGNAL.name, "watermark", ["image"])
    assert set(entry["entryMetadata"]) == {"description", "dateEntered", "contact", "informationalUrl"}
    values = {**entry, **entry["entryMetadata"]}
    assert [name for name, value in values.items() if value is None] == ["identifier", "dateEntered"]  # the list's
    open_ones = [name for name, value in values.items() if isinstance(value, str) and value.startswith("OWNER: ")]
    assert open_ones == ["contact", "informationalUrl"]
