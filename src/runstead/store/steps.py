"""The steps of runs: one row a model call, written by commits and read by lists. A step outlives its run's deletion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Connection, Row, Select, bindparam, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite

from runstead.domain.run import Run
from runstead.domain.step import Step, StepStatus, ToolTime, Usage
from runstead.ids import RunId, UserId
from runstead.store.codec import built, from_us, pack, to_us, unpack
from runstead.store.documents import member
from runstead.store.pages import Page, paged
from runstead.store.runs import find_run
from runstead.store.schema import steps as table

_COLUMNS = tuple(table.c)
# Both have the same statement, each from its own place.
_UPSERT = {
    dialect: statement.on_conflict_do_update(
        index_elements=[table.c.id],
        set_={
            column.name: statement.excluded[column.name]
            for column in table.c
            if column.name not in ("position", "id")
        },
    )
    for dialect, statement in (("sqlite", sqlite.insert(table)), ("postgresql", postgresql.insert(table)))
}
# The page that nearly everybody asks for; building a statement costs more than running it.
_OF_RUN = (
    select(*_COLUMNS)
    .where(table.c.run_id == bindparam("of_run"), table.c.user_id == bindparam("of_user"))
    .order_by(table.c.created_at.desc(), table.c.id.desc())
    .limit(bindparam("rows"))
)
_FIND = select(*_COLUMNS).where(table.c.user_id == bindparam("user_id"), table.c.id == bindparam("of_step"))
_DOCUMENT = (
    "context_window_tokens",
    "model_endpoint",
    "error_type",
    "error_data",
    "model_ns",
    "tools_ns",
    "ttft_ns",
    "attempt",
    "retries",
    "request_id",
)


@dataclass(frozen=True, slots=True)
class StepFilter:
    """Which steps of an actor. None means any; of tags one is enough."""

    run_id: RunId | None = None
    agent_id: str | None = None
    model: str | None = None
    feedback: str | None = None
    has_feedback: bool | None = None
    trace_ids: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None


def save_steps(conn: Connection, steps: Sequence[Step]) -> None:
    """Insert steps, or replace them where they are there."""
    if steps:
        conn.execute(_UPSERT[conn.dialect.name], [_row(step) for step in steps])


def find_step(conn: Connection, user_id: UserId, step_id: str) -> Step | None:
    """One step of this actor."""
    row = conn.execute(_FIND, {"user_id": user_id, "of_step": step_id}).first()
    return None if row is None else _step(row)


def give_feedback(
    conn: Connection, user_id: UserId, step_id: str, feedback: str | None, tags: Sequence[str] | None
) -> Step | None:
    """Write what somebody thinks of a step, and its tags where some are given; None where there is no such step."""
    step = find_step(conn, user_id, step_id)
    if step is None:
        return None
    step = replace(step, feedback=feedback, tags=step.tags if tags is None else tuple(tags))
    save_steps(conn, [step])
    return step


def list_steps(conn: Connection, user_id: UserId, where: StepFilter, page: Page) -> list[Step]:
    """A page of steps. Raises `NotFound` for an unknown cursor."""
    query = _filtered(select(*_COLUMNS).where(table.c.user_id == user_id), where)
    found = paged(conn, query, table, table.c.user_id == user_id, page)
    return [_step(row) for row in found]


def steps_of_run(conn: Connection, user_id: UserId, run_id: str, page: Page) -> tuple[Run, list[Step]] | None:
    """A run of this actor and a page of its steps, in one read. Raises `NotFound` for an unknown cursor."""
    run = find_run(conn, user_id, run_id)
    if run is None:
        return None
    if not page.ascending and page.after is None and page.before is None:
        rows = conn.execute(_OF_RUN, {"of_run": run.id, "of_user": user_id, "rows": page.limit})
        return run, [_step(row) for row in rows]
    return run, list_steps(conn, user_id, StepFilter(run_id=run.id), page)


def orphan_steps(conn: Connection, run_id: RunId) -> None:
    """Keep the steps of a run that is deleted, without it."""
    conn.execute(update(table).where(table.c.run_id == run_id).values(run_id=None))


def _filtered(query: Select[Any], where: StepFilter) -> Select[Any]:
    for column, value in (
        (table.c.run_id, where.run_id),
        (table.c.agent_id, where.agent_id),
        (table.c.feedback, where.feedback),
    ):
        if value is not None:
            query = query.where(column == value)
    if where.model is not None:
        query = query.where(
            (table.c.model_handle == where.model)
            | table.c.model_handle.endswith("/" + where.model, autoescape=True)
        )
    if where.has_feedback is not None:
        given = table.c.feedback.is_not(None)
        query = query.where(given if where.has_feedback else ~given)
    if where.trace_ids:
        query = query.where(table.c.trace_id.in_(where.trace_ids))
    if where.tags:
        held = member(table.c.document, "tags")
        query = query.where(
            or_(*(held.contains(orjson.dumps(tag).decode(), autoescape=True) for tag in where.tags))
        )
    if where.since is not None:
        query = query.where(table.c.created_at >= to_us(where.since))
    if where.until is not None:
        query = query.where(table.c.created_at <= to_us(where.until))
    return query


def _row(step: Step) -> dict[str, object]:
    usage = step.usage
    document: dict[str, object] = {name: getattr(step, name) for name in _DOCUMENT}
    return {
        "id": step.id,
        "run_id": step.run_id,
        "user_id": step.user_id,
        "agent_id": step.agent_id,
        "model_handle": step.model_handle,
        "status": step.status.value,
        "stop_reason": step.stop_reason,
        "feedback": step.feedback,
        "trace_id": step.trace_id,
        "created_at": to_us(step.created_at),
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "document": pack(
            {
                **document,
                "tags": list(step.tags),
                "begun_calls": list(step.begun_calls),
                "tool_times": [asdict(each) for each in step.tool_times],
            }
        ),
    }


def _step(row: Row[Any]) -> Step:
    values = row._mapping  # noqa: SLF001 - the library's public way to read a row by name
    document = unpack(values["document"])
    return Step(
        id=values["id"],
        run_id=values["run_id"],
        user_id=values["user_id"],
        agent_id=values["agent_id"],
        created_at=from_us(int(values["created_at"])),
        model_handle=values["model_handle"],
        status=StepStatus(values["status"]),
        usage=Usage(
            values["prompt_tokens"],
            values["completion_tokens"],
            values["cached_input_tokens"],
            values["cache_write_tokens"],
            values["reasoning_tokens"],
        ),
        stop_reason=values["stop_reason"],
        trace_id=values["trace_id"],
        feedback=values["feedback"],
        tags=tuple(document.get("tags", ())),
        begun_calls=tuple(document.get("begun_calls", ())),
        tool_times=tuple(built(ToolTime, each) for each in document.get("tool_times", ())),
        **{name: document[name] for name in _DOCUMENT if name in document},
    )
