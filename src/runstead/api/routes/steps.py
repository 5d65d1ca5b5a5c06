"""Steps over all runs of an actor: list them, read one, say what one thinks of it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Body, Query, Response

from runstead.api.auth import Caller, Parts
from runstead.api.exchange import history
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.messages import HistoryQuery, MessageState
from runstead.api.wire.paging import asked
from runstead.api.wire.steps import (
    FeedbackRequest,
    StepMetricsState,
    StepQuery,
    StepState,
    step_metrics_state,
    step_state,
)
from runstead.domain.step import Step
from runstead.errors import NotFound
from runstead.ids import UserId
from runstead.llm.prices import costs
from runstead.store import steps
from runstead.store.messages import MessageFilter

router = v1_router("steps")


class StepMessageQuery(HistoryQuery):
    """Which messages of a step shall be listed."""

    order: Literal["asc", "desc"] = "asc"


@router.get("/steps/")
@answers(list[StepState])
async def list_steps(query: Annotated[StepQuery, asked(StepQuery)], caller: Caller, parts: Parts) -> Response:
    """List steps, newest first unless asked otherwise."""
    found = await parts.db.read(steps.list_steps, caller.user.id, query.filter(), query.page())
    spent = await costs([(step.model_handle, step.usage) for step in found], parts.settings.providers)
    organization = caller.user.organization_id
    return Json([step_state(step, organization, cost) for step, cost in zip(found, spent)])


@router.get("/steps/{step_id}")
@answers(StepState)
async def retrieve_step(step_id: str, caller: Caller, parts: Parts) -> Response:
    """Read a step."""
    step = await _find(parts, caller.user.id, step_id)
    return await _answer(parts, caller.user.organization_id, step)


@router.get("/steps/{step_id}/metrics")
@answers(StepMetricsState)
async def retrieve_step_metrics(step_id: str, caller: Caller, parts: Parts) -> Response:
    """Read how long a step took."""
    step = await _find(parts, caller.user.id, step_id)
    return Json(step_metrics_state(step, caller.user.organization_id))


@router.get("/steps/{step_id}/messages")
@answers(list[MessageState])
async def list_step_messages(
    step_id: str, query: Annotated[StepMessageQuery, asked(StepMessageQuery)], caller: Caller, parts: Parts
) -> Response:
    """List what was said and done in a step, oldest first unless asked otherwise."""
    step = await _find(parts, caller.user.id, step_id)
    where = MessageFilter(agent_id=step.agent_id, run_id=step.run_id, step_id=step.id)
    return Json(await history(parts, caller.user.id, where, query))


@router.patch("/steps/{step_id}/feedback")
@answers(StepState)
async def modify_step_feedback(
    step_id: str,
    caller: Caller,
    parts: Parts,
    body: Annotated[FeedbackRequest | None, Body()] = None,
    feedback: Annotated[Literal["positive", "negative"] | None, Query()] = None,
) -> Response:
    """Say what one thinks of a step, in the body or (the older form) in the query; the body goes first."""
    given = body or FeedbackRequest(feedback=feedback, tags=None)
    step = await parts.db.write(steps.give_feedback, caller.user.id, step_id, given.feedback, given.tags)
    if step is None:
        raise no_step(step_id)
    return await _answer(parts, caller.user.organization_id, step)


def no_step(step_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"There is no step {step_id}.")


async def _answer(parts: Services, organization_id: str, step: Step) -> Response:
    (cost,) = await costs([(step.model_handle, step.usage)], parts.settings.providers)
    return Json(step_state(step, organization_id, cost))


async def _find(parts: Services, user_id: UserId, step_id: str) -> Step:
    step = await parts.db.read(steps.find_step, user_id, step_id)
    if step is None:
        raise no_step(step_id)
    return step
