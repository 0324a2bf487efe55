"""What a mark is called in few words, in tables and on overlays, here and by a service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from wam.errors import show_name
from wam.pipeline.chance import show_chance

Mark = Mapping[str, Any]  # a watermark as the contract has it, here or from a service


def show_mark(mark: Mark) -> str:
    """The short link, or how much of a record there is, or that it is a mark of another registry."""
    if mark["mode"] == "record":
        return f"record, {mark['marks']['read']} of {mark['marks']['embedded'] or '?'} marks"
    if _is_foreign(mark):
        return "another registry's"
    return mark["link"] or "-"


def _is_foreign(mark: Mark) -> bool:
    """Whether a mark says that it is of a registry that was not asked; services of 0.2.0 say nothing of it."""
    label = mark.get("label")
    return label is not None and not label["known"]


def show_status(mark: Mark) -> str:
    """The status, and whether the mark seems to be another picture's, and was read with light and dark exchanged."""
    pose = mark.get("pose") or {}  # services of before say less, and what a mark could be has no place
    doubts = ["negative"] if pose.get("negative") else []
    if mark.get("transplanted"):
        doubts.append("transplanted?")
    elif mark.get("binding") == "unbound":
        doubts.append("unbound")
    return f"{mark['status']} ({', '.join(doubts)})" if doubts else str(mark["status"])


def caption(mark: Mark) -> str:
    """A line each for the record, the link, and how sure both are, as far as there is such."""
    record, owner = mark["record"], mark.get("marked_by")  # where a service shows the owner only
    named = f"{record['asset']} · {record['owner']}" if record else str(owner or "")
    status = f"{show_status(mark)}, chance {show_chance(mark['log10_p'])}"
    return "\n".join(show_name(line) for line in [named, show_mark(mark), status] if line not in ("", "-"))
