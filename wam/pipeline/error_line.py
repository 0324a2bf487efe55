"""What is said of a picture that could not be marked or read: one line, in the contract's ``error``."""

from __future__ import annotations

from payload import PayloadError
from wam.errors import WamError, is_out_of_memory, show_name


def error_line(name: str, error: BaseException) -> str:
    """The error's line, with the picture's name in front unless it is there already.

    >>> error_line("a.png", ValueError("no"))
    'a.png: no'
    """
    shown = "standard input" if name == "-" else show_name(name)
    if is_out_of_memory(error):
        return f"{shown}: expected enough memory for the picture, found too little; use a smaller copy"
    text = show_name(str(error))
    return text if isinstance(error, WamError | PayloadError) else f"{shown}: {text}"
