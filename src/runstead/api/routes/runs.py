"""The Runs API: list, active, retrieve, messages, usage, steps, metrics, delete, and the stream that can be resumed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import orjson
from fastapi import Body, Header, Query, Response
from pydantic import Field

from runstead.api.asking import asked_by_runs
from runstead.api.auth import Caller, Parts
from runstead.api.exchange import follow, message_page, shown_messages
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.messages import MessageState
from runstead.api.wire.paging import PageQuery, asked
from runstead.api.wire.runs import (
    PENDING,
    SUMMARY,
    Include,
    MetricsState,
    ResumeRequest,
    RunQuery,
    RunState,
    UsageState,
    metrics_state,
    response_json,
    run_state,
    summed_state,
    usage_state,
)
from runstead.api.wire.steps import RunStepQuery, StepState, step_state
from runstead.domain.message import Message, Role
from runstead.domain.run import ACTIVE, Run, RunType
from runstead.errors import Gone, Invalid, NotFound
from runstead.ids import UserId
from runstead.llm.prices import costs
from runstead.runs.wait import outcome
from runstead.store import lines, messages, runs, steps, summaries
from runstead.store.lines import FIRST
from runstead.store.messages import MessageFilter, MessagePage
from runstead.store.pages import Page
from runstead.store.runs import RunFilter
from runstead.store.summaries import RunSummary

router = v1_router("runs")

NOT_BACKGROUND = "Run was not created in background mode, so it cannot be retrieved."
NO_RUN = "Run not found"
ACTIVE_LISTED = 100


class ActiveQuery(PageQuery):
    """Which active runs shall be listed."""

    agent_id: str | None = None
    agent_ids: list[str] | None = None
    background: bool | None = None


class RunMessageQuery(PageQuery):
    """Which messages of a run shall be listed. `before` is older than that message, `after` comes behind it in the list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    order: Literal["asc", "desc"] = "asc"
    order_by: Literal["created_at"] = "created_at"
    role: Role | None = None


@router.get("/runs/")
@answers(list[RunState])
async def list_runs(query: Annotated[RunQuery, asked(RunQuery)], caller: Caller, parts: Parts) -> Response:
    """List runs, newest first unless asked otherwise."""
    page = query.page()
    if query.ascending:
        page = Page(limit=query.limit, ascending=True, after=query.after, before=query.before)
    if query.include:
        found = await parts.db.read(summaries.list_summed, caller.user.id, query.filter(), page)
        return Json(await _detailed(parts, caller.user.id, found, query.include))
    kept = parts.rendered_runs.kept
    ids, changed, places = await parts.db.read(
        lines.list_changed_placed, caller.user.id, query.filter(), page, kept
    )
    body = parts.rendered_runs.list_json(ids, changed, kept, places)
    return Response(body, media_type="application/json")


@router.get("/runs/active")
@answers(list[RunState])
async def list_active_runs(
    query: Annotated[ActiveQuery, asked(ActiveQuery)], caller: Caller, parts: Parts
) -> Response:
    """List the runs that are not over, newest first."""
    agent_ids = (query.agent_id,) if query.agent_id else tuple(query.agent_ids or ())
    where = RunFilter(agent_ids=agent_ids, statuses=ACTIVE, background=query.background)
    page = query.page() if "limit" in query.model_fields_set else Page(limit=ACTIVE_LISTED)
    found, places = await parts.db.read(lines.list_placed, caller.user.id, where, page)
    return Json([run_state(run, places.get(run.id, FIRST)) for run in found])


@router.get("/runs/{run_id}")
@answers(RunState)
async def retrieve_run(
    run_id: str,
    caller: Caller,
    parts: Parts,
    include: Annotated[list[Include] | None, Query()] = None,
) -> Response:
    """Read a run. One that was sent with `async` and is over has its whole answer in `metadata.result`.

    With `include=runstead.summary` (an extension) it says whose it is, which model answers and how its input begins; with
    `include=runstead.pending_approval` what it still asks.
    """
    found = await parts.db.read(lines.find_placed, caller.user.id, run_id)
    if found is None:
        raise NotFound(NO_RUN)
    run, place = found
    state = run_state(run, place)
    if include:
        known = await parts.db.read(summaries.with_summaries, caller.user.id, [run])
        (state,) = await _detailed(parts, caller.user.id, known, include)
    if run.type is RunType.ASYNC and run.status.final:
        state["metadata"] |= await _result(parts, run)
    return Json(state)


@router.delete("/runs/{run_id}")
@answers(RunState)
async def delete_run(run_id: str, caller: Caller, parts: Parts) -> Response:
    """Delete a run, ending it first where it is not over. Its messages stay in the agent's history, its steps stay."""
    return Json(run_state(await parts.cancellation.delete(caller.user, run_id)))


@router.get("/runs/{run_id}/messages")
@answers(list[MessageState])
async def list_run_messages(
    run_id: str, query: Annotated[RunMessageQuery, asked(RunMessageQuery)], caller: Caller, parts: Parts
) -> Response:
    """List a run's messages: what was sent, and all that was said and done."""
    page = message_page(query)
    found = await parts.db.read(messages.messages_of_run, caller.user.id, run_id, query.role, page)
    if found is None:
        raise NotFound(NO_RUN)
    run, page_of_it = found
    return Json(listed(page_of_it, run))


@router.get("/runs/{run_id}/usage")
@answers(UsageState)
async def retrieve_run_usage(run_id: str, caller: Caller, parts: Parts) -> Response:
    """Read what a run cost: the sum of its steps, abandoned ones included."""
    run = await parts.db.read(runs.find_run, caller.user.id, run_id)
    if run is None:
        raise NotFound(f"Run '{run_id}' not found")
    return Json(usage_state(run.usage))


@router.get("/runs/{run_id}/steps")
@answers(list[StepState])
async def list_run_steps(
    run_id: str, query: Annotated[RunStepQuery, asked(RunStepQuery)], caller: Caller, parts: Parts
) -> Response:
    """List a run's steps, newest first unless asked otherwise."""
    found = await parts.db.read(steps.steps_of_run, caller.user.id, run_id, query.page())
    if found is None:
        raise NotFound(NO_RUN)
    run, page_of_it = found
    spent = await costs([(step.model_handle, step.usage) for step in page_of_it], parts.settings.providers)
    return Json([step_state(step, run.organization_id, cost) for step, cost in zip(page_of_it, spent)])


@router.get("/runs/{run_id}/metrics")
@answers(MetricsState)
async def retrieve_run_metrics(run_id: str, caller: Caller, parts: Parts) -> Response:
    """Read how a run went, in numbers."""
    run = await find(parts, caller.user.id, run_id)
    where = MessageFilter(run_id=run.id, role=Role.TOOL)
    found = await parts.db.read(messages.list_messages, caller.user.id, where, MessagePage(limit=1000))
    return Json(metrics_state(run, sorted({m.name for m in found if m.name})))


@router.post("/runs/{run_id}/stream")
@answers(dict[str, object])
async def retrieve_stream(
    run_id: str,
    caller: Caller,
    parts: Parts,
    body: Annotated[ResumeRequest | None, Body()] = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """Follow a background run from any event on: what was missed comes at once, what is new as it is said.

    The cursor is `starting_after`, or the header `Last-Event-ID` where the body names none. At or past the end of a
    finished run the answer is `[DONE]` alone.
    """
    asked = body or ResumeRequest()
    run = await find(parts, caller.user.id, run_id)
    if not run.background:
        raise Invalid(NOT_BACKGROUND)
    after = asked.starting_after or _cursor(last_event_id)
    return await follow(parts, run, after, asked)


async def summed(parts: Services, found: Sequence[tuple[Run, RunSummary]]) -> list[RunState]:
    """Runs with their summaries, and what they cost where that is known: all of it at their last model's price."""
    spent = await costs([(summary.model, run.usage) for run, summary in found], parts.settings.providers)
    return [summed_state(run, summary, cost) for (run, summary), cost in zip(found, spent)]


async def _detailed(
    parts: Services, user_id: UserId, found: Sequence[tuple[Run, RunSummary]], include: Sequence[str]
) -> list[RunState]:
    """Runs with what was asked for beside them."""
    if SUMMARY in include:
        states = await summed(parts, found)
    else:
        states = [run_state(run, summary.place) for run, summary in found]
    if PENDING in include:
        asked = await asked_by_runs(parts, user_id, [run for run, _ in found])
        for state in states:
            state["pending_approval"] = asked.get(state["id"])
    return states


async def find(parts: Services, user_id: UserId, run_id: str) -> Run:
    """One run of this actor. Raises `NotFound`."""
    run = await parts.db.read(runs.find_run, user_id, run_id)
    if run is None:
        raise NotFound(NO_RUN)
    return run


async def _result(parts: Services, run: Run) -> dict[str, object]:
    """What a finished run answered, for as long as its events are kept: the older generation reads it of the run itself."""
    try:
        found = await outcome(parts.log, run.id)
    except Gone:
        return {}
    return {"result": orjson.Fragment(response_json(found))}


def listed(found: list[Message], run: Run) -> list[dict[str, object]]:
    """Stored messages of a run as JSON, shown as the run's request asked for."""
    return shown_messages(found, run.request, run.request.include_types)


def _cursor(last_event_id: str | None) -> int:
    """The number in a `Last-Event-ID`; 0 where there is none. Raises `Invalid` where it is no number of ours."""
    if last_event_id is None or not last_event_id.strip():
        return 0
    if not last_event_id.strip().isdecimal() or len(last_event_id) > 18:
        raise Invalid("Last-Event-ID must be the id of an event of this stream: a number.")
    return int(last_event_id)
