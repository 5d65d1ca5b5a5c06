"""The line of a lane: where runs stand that have not begun, because others of their conversation or agent are ahead.

Every read names the actor and is one snapshot: a run and its place belong together. Whose turn it is, the claim decides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from sqlalchemy import Connection, Select, bindparam, func, select, text

from runstead.domain.run import ACTIVE, Run, RunStatus
from runstead.ids import RunId, UserId
from runstead.store import runs
from runstead.store.pages import Page
from runstead.store.runs import RunFilter
from runstead.store.schema import runs as table

_STATUSES = ", ".join(f"'{status.value}'" for status in ACTIVE)
_ahead = table.alias("ahead")
_IS_AHEAD = (
    _ahead.c.lane == table.c.lane,
    text(f"ahead.status IN ({_STATUSES})"),
    _ahead.c.position < table.c.position,
)
_COUNT = select(func.count()).select_from(_ahead).where(*_IS_AHEAD).correlate(table).scalar_subquery()
_NEXT = (
    select(_ahead.c.id)
    .where(*_IS_AHEAD)
    .order_by(_ahead.c.position.desc())
    .limit(1)
    .correlate(table)
    .scalar_subquery()
)
_PLACES: Select[str, str | None, int] = cast(
    "Select[str, str | None, int]",
    select(table.c.id, _NEXT.label("waiting_for"), _COUNT.label("ahead")).where(
        table.c.id.in_(bindparam("run_ids", expanding=True)),
        table.c.user_id == bindparam("user_id"),
        text(f"runs.status = '{RunStatus.CREATED.value}'"),
    ),
)


@dataclass(frozen=True, slots=True)
class LinePlace:
    """Where a run stands: `ahead` active runs of its lane come first, the nearest of them is `waiting_for`."""

    waiting_for: RunId | None = None
    ahead: int = 0


FIRST = LinePlace()
Places = Mapping[str, LinePlace]


def places(conn: Connection, user_id: UserId, run_ids: Sequence[str]) -> dict[str, LinePlace]:
    """The places of those runs of an actor that have not begun."""
    if not run_ids:
        return {}
    rows = conn.execute(_PLACES, {"run_ids": run_ids, "user_id": user_id})
    return {
        run_id: LinePlace(None if before is None else RunId(before), ahead) for run_id, before, ahead in rows
    }


def find_placed(conn: Connection, user_id: UserId, run_id: str) -> tuple[Run, LinePlace] | None:
    """One run of an actor and its place; None where the actor has no such run."""
    run = runs.find_run(conn, user_id, run_id)
    if run is None:
        return None
    return run, places(conn, user_id, _not_begun([run])).get(run.id, FIRST)


def list_placed(
    conn: Connection, user_id: UserId, where: RunFilter, page: Page
) -> tuple[list[Run], dict[str, LinePlace]]:
    """A page of an actor's runs, and the places of those that have not begun."""
    found = runs.list_runs(conn, user_id, where, page)
    return found, places(conn, user_id, _not_begun(found))


def list_changed_placed(
    conn: Connection, user_id: UserId, where: RunFilter, page: Page, known: Mapping[str, tuple[int, object]]
) -> tuple[list[str], list[Run], dict[str, LinePlace]]:
    """See `runs.list_changed`. Nobody may know a run that has not begun: its place changes without it."""
    ids, changed = runs.list_changed(conn, user_id, where, page, known)
    return ids, changed, places(conn, user_id, _not_begun(changed))


def _not_begun(found: Sequence[Run]) -> list[str]:
    return [run.id for run in found if run.status is RunStatus.CREATED]
