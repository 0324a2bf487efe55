"""What the service and its worker processes say to one another: a JSON object, and contents of files after it.

No pickles: a worker decodes what strangers send, and whatever becomes of it there must not be able to run in here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

MOST_CONTENTS = 1000


@dataclass(frozen=True)
class Message:
    """One task or one answer."""

    said: dict[str, Any]
    contents: tuple[bytes, ...] = field(default=(), repr=False)


def send(connection: Connection, said: dict[str, Any], contents: Sequence[bytes] = ()) -> None:
    """Sends one; raises ``OSError`` where nobody listens any more."""
    connection.send_bytes(json.dumps({"said": said, "contents": len(contents)}).encode())
    for content in contents:
        connection.send_bytes(content)


def receive(connection: Connection) -> Message:
    """Waits for one; raises ``EOFError`` or ``OSError`` where the other side has gone, ``ValueError`` for nonsense."""
    head = json.loads(connection.recv_bytes())
    count = int(head["contents"])
    if not 0 <= count <= MOST_CONTENTS or not isinstance(head["said"], dict):
        raise ValueError("a message that makes no sense")
    return Message(head["said"], tuple(connection.recv_bytes() for _ in range(count)))
