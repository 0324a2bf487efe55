"""The registry: which word stands for which record. Needs SQLAlchemy, which is imported with the first use."""

from payload.registry.store import Registry

__all__ = ["Registry"]
