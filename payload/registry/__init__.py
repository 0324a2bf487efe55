"""The registry: which word stands for which record. Needs SQLAlchemy, which is imported with ``Registry``."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from payload.registry.store import Registry

__all__ = ["Registry"]


def __getattr__(name: str) -> Any:
    if name == "Registry":
        from payload.registry.store import Registry

        return Registry
    raise AttributeError(f"module 'payload.registry' has no attribute {name!r}")
