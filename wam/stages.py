"""What a long piece of work is at, told to whoever listens in the same thread: nobody, unless a program asks.

Work on one picture may take a minute, and the modules that do it know nothing of terminals. A listener belongs to one
thread, so that pictures that are worked on side by side do not speak through one another.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

_listener: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


def listen(listener: Callable[[str], None] | None) -> None:
    """From now on this thread's stages are told to ``listener``; None: to nobody.

    >>> listen(print)
    >>> tell("resolution 2 of 18")
    resolution 2 of 18
    >>> listen(None)
    >>> tell("resolution 3 of 18")
    """
    _listener.set(listener)


def tell(stage: str) -> None:
    """Says what is done next, in a few words."""
    listener = _listener.get()
    if listener is not None:
        listener(stage)
