"""Looking into a run: where its time went, and what went to the model and came back where the server keeps that."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.runs import NO_RUN
from runstead.api.routes.steps import no_step
from runstead.api.wire.paging import asked
from runstead.api.wire.traces import (
    ProviderTraceState,
    SpanState,
    TraceQuery,
    provider_trace_state,
    spans_of,
)
from runstead.errors import NotFound
from runstead.store import steps, traces
from runstead.store.pages import LIMIT_MAX, Page

router = v1_router("steps")
OFF = "What goes to a model is not kept. RUNSTEAD_PROVIDER_TRACE=true in the server's environment keeps it from then on."


@router.get("/steps/{step_id}/trace")
@router.get("/telemetry/{step_id}")
@answers(ProviderTraceState | None)
async def retrieve_step_trace(step_id: str, caller: Caller, parts: Parts) -> Response:
    """Read what went to the model in a step and what came back; null where it was not kept, or is no longer.

    404 while the server keeps nothing of the kind: the detail names the setting.
    """
    if await parts.db.read(steps.find_step, caller.user.id, step_id) is None:
        raise no_step(step_id)
    found = await parts.db.read(traces.find_trace, caller.user.id, step_id)
    if found is not None:
        return Json(provider_trace_state(found, caller.user.organization_id))
    if not parts.settings.provider_trace:
        raise NotFound(OFF)
    return Json(None)


@router.get("/runs/{run_id}/trace")
@answers(list[SpanState])
async def retrieve_run_trace(
    run_id: str, query: Annotated[TraceQuery, asked(TraceQuery)], caller: Caller, parts: Parts
) -> Response:
    """Read where a run's time went: the run, its steps, first tokens and tools as spans, oldest first."""
    page = Page(limit=min(query.limit, LIMIT_MAX), ascending=True)
    found = await parts.db.read(steps.steps_of_run, caller.user.id, run_id, page)
    if found is None:
        raise NotFound(NO_RUN)
    return Json(spans_of(*found)[: query.limit])
