"""Alembic, driven from here: the steps in `migrations/` are run on a connection, with no configuration file.

Imported by `migrate` only where a database is behind: Alembic is slow to import. It opens no transaction: the caller's
holds all steps, so that a database is never left between two versions.
"""

from __future__ import annotations

from pathlib import Path

from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.runtime.migration import RevisionStep
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection

MIGRATIONS = Path(__file__).parent / "migrations"


def scripts() -> ScriptDirectory:
    """The steps, as Alembic knows them."""
    return ScriptDirectory(str(MIGRATIONS), version_locations=[str(MIGRATIONS)])


def known(version: str) -> bool:
    """Whether one of the steps leads to that version."""
    try:
        scripts().get_revision(version)
    except CommandError:
        return False
    return True


def upgrade(connection: Connection) -> None:
    """Run every step that the database has not seen, in the caller's transaction."""
    steps = scripts()

    def missing(version: str, _context: MigrationContext) -> list[RevisionStep]:
        # The name is private, but it is the way that Alembic's own documentation shows.
        return steps._upgrade_revs("head", version)  # noqa: SLF001

    context = MigrationContext.configure(connection, opts={"fn": missing})
    with Operations.context(context):
        context.run_migrations()
