"""Bringing a registry of an earlier version to this one, by Alembic, within the transaction of whoever writes first."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from payload.errors import RegistryError
from payload.registry.schema import REVISION_TABLE, revision_name

SCRIPTS = Path(__file__).parent / "migrations"

_ONE_AT_A_TIME = threading.Lock()  # Alembic's operations belong to the process, not to a connection


def migrate(connection: Connection, *, found: int, to: str = "head") -> None:
    """Bring tables of version ``found``, 0 for none, to another revision, all or nothing with the transaction that is
    open."""
    try:
        from alembic.config import Config
        from alembic.runtime.environment import EnvironmentContext
        from alembic.script import ScriptDirectory
    except ModuleNotFoundError as error:
        raise RegistryError(
            f"expected the package alembic, which brings a registry of version {found} to this one, found none; "
            "run pip install alembic (looking records up goes without)"
        ) from error
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    scripts = ScriptDirectory.from_config(config)

    def steps(revision: Any, _: Any) -> Any:
        return scripts._upgrade_revs(to, revision)

    with _ONE_AT_A_TIME, EnvironmentContext(config, scripts, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=connection, version_table=REVISION_TABLE)
        context = environment.get_context()
        if found and not context.get_current_heads():  # made before there were revisions
            context.stamp(scripts, revision_name(found))
        environment.run_migrations()
