"""Bring the tables up to the code: forward only, inside the caller's transaction."""

from __future__ import annotations

from pathlib import Path

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext, MigrationStep, RevisionStep
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from domain.errors import StoreUnavailable
from domain.messages import both

_FOLDER = Path(__file__).parent / "migrations"


def newest() -> str:
    """Return the revision that this code writes."""
    return ScriptDirectory(str(_FOLDER)).get_current_head() or ""


def standing(connection: Connection) -> str | None:
    """Return the revision of the tables behind `connection`, "" where there are none, None where this code does not know it."""
    held = MigrationContext.configure(connection).get_current_revision() or ""
    known = {revision.revision for revision in ScriptDirectory(str(_FOLDER)).walk_revisions()}
    return held if held in known or not held else None


def migrate(connection: Connection, where: str) -> list[str]:
    """Run every migration that the database behind `connection` has not seen and return their revisions, oldest first.

    Raises:
        StoreUnavailable: the database (`where` names it) was written by a newer version.
    """
    script = ScriptDirectory(str(_FOLDER))
    known = {revision.revision for revision in script.walk_revisions()}
    done: list[str] = []

    def pending(current: str | tuple[str, ...], context: MigrationContext) -> list[RevisionStep]:  # noqa: ARG001  alembic's signature
        held = (current,) if isinstance(current, str) else current
        foreign = [revision for revision in held if revision not in known]
        if foreign:
            raise StoreUnavailable(both("store.newer_tables", where=where, held=foreign[0], own=newest()))
        revisions = list(script.iterate_revisions("head", held[0] if held else "base"))[::-1]
        done.extend(revision.revision for revision in revisions)
        return [MigrationStep.upgrade_from_script(script.revision_map, revision) for revision in revisions]

    context = MigrationContext.configure(connection, opts={"fn": pending, "transactional_ddl": True})
    with Operations.context(context):
        context.run_migrations()
    return done
