"""Steps over all runs of an actor: list them, read one."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.wire.steps import StepQuery, StepState, step_state
from runstead.errors import NotFound
from runstead.llm.prices import costs
from runstead.store import steps

router = v1_router("steps")


@router.get("/steps/")
@answers(list[StepState])
async def list_steps(query: Annotated[StepQuery, Query()], caller: Caller, parts: Parts) -> Response:
    """List steps, newest first unless asked otherwise."""
    found = await parts.db.read(steps.list_steps, caller.user.id, query.filter(), query.page())
    spent = await costs([(step.model_handle, step.usage) for step in found], parts.settings.providers)
    organization = caller.user.organization_id
    return Json([step_state(step, organization, cost) for step, cost in zip(found, spent)])


@router.get("/steps/{step_id}")
@answers(StepState)
async def retrieve_step(step_id: str, caller: Caller, parts: Parts) -> Response:
    """Read a step."""
    step = await parts.db.read(steps.find_step, caller.user.id, step_id)
    if step is None:
        raise NotFound(f"There is no step {step_id}.")
    (cost,) = await costs([(step.model_handle, step.usage)], parts.settings.providers)
    return Json(step_state(step, caller.user.organization_id, cost))
