"""Chat Completions with an agent in the place of the model, for clients that know nothing else."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Request, Response

from runstead.api import stream
from runstead.api.auth import Caller, Parts
from runstead.api.exchange import feed, model_problem
from runstead.api.router import Json, answers, v1_router
from runstead.api.wire.chat import ChatRequest, ChatState, Pieces, chat_state
from runstead.domain.run import RunRequest, RunType
from runstead.runs.admit import NewRun
from runstead.runs.wait import outcome
from runstead.telemetry.traces import traceparent_of

router = v1_router("chat")


@router.post("/chat/completions")
@answers(ChatState)
async def create_chat_completion(
    body: ChatRequest,
    request: Request,
    caller: Caller,
    parts: Parts,
    idempotency_key: Annotated[str | None, Header()] = None,
) -> Response:
    """Say something to an agent, whose id is `model`, and get its answer as a model's: whole, or in pieces."""
    new = NewRun(
        user=caller.user,
        agent_id=body.model,
        type=RunType.CHAT_COMPLETION,
        inputs=body.inputs(),
        request=RunRequest(stream_tokens=bool(body.stream)),
        idempotency_key=idempotency_key,
        body=await request.body() if idempotency_key else b"",
        traceparent=traceparent_of(request.headers.get("traceparent")),
    )
    run = await parts.admission.admit(new)
    if body.stream:
        pieces = Pieces(run.id, run.agent_id, run.created_at, usage=body.wants_usage)
        reader = await parts.log.reader(run.id, 0, lingers=True)
        return stream.retold(reader, run.id, feed(parts, include_pings=True), pieces.tell)
    found = await outcome(parts.log, run.id)
    if found.error is not None and (problem := model_problem(found.error)) is not None:
        raise problem
    return Json(chat_state(run.id, run.agent_id, run.created_at, found))
