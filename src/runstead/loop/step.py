"""One step: ask the model, take its answer in, and say what it means. The tools it asks for are `loop/calls.py`.

Everything that may end an answer early — the model's failure, a cancel, this process's end — keeps what was said.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast

from runstead.clock import Clock
from runstead.domain.approval import ApprovalTerms
from runstead.domain.event import Ping, RunEvent
from runstead.domain.message import Mark, Message, Role, TextPart
from runstead.domain.run import StopReason
from runstead.domain.run_machine import Advanced, Finished
from runstead.domain.step import Step, StepStatus, Usage
from runstead.domain.trace import ProviderTrace
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import Ids, MessageId, StepId, attempt_message_id
from runstead.llm.types import CallDelta, Delta, Gateway, ModelRequest, ReasoningDelta, TextDelta
from runstead.loop.answer import Answer
from runstead.loop.context import request_of, tokens_of_request
from runstead.loop.hold import Interrupt, Interrupted
from runstead.loop.tracer import Tracer
from runstead.loop.turn import Turn
from runstead.telemetry.traces import traced_step
from runstead.tools.registry import Toolbox

ROOM_EVERY_PIECES = 64
OWED_TEXT = "[A rule of this agent] Your turn is not over. Before it ends, call: "

_STOP_BY_KIND = {
    ModelErrorKind.INSUFFICIENT_CREDITS: StopReason.INSUFFICIENT_CREDITS,
    ModelErrorKind.CONTEXT_WINDOW: StopReason.CONTEXT_WINDOW_OVERFLOW,
    ModelErrorKind.EMPTY_RESPONSE: StopReason.INVALID_LLM_RESPONSE,
}


@dataclass(slots=True)
class Asking:
    """A model call under way, and when it began and first spoke (nanoseconds of the monotonic clock)."""

    step: Step
    answer: Answer
    request: ModelRequest
    began_ns: int
    first_ns: int | None = None


class Stepper:
    """Makes steps. One serves all runs; everything about a run is in its turn."""

    def __init__(
        self,
        gateway: Gateway,
        tools: Toolbox,
        clock: Clock,
        ids: Ids,
        approvals: ApprovalTerms,
        tracer: Tracer | None = None,
    ) -> None:
        self._gateway = gateway
        self._tracer = tracer
        self._tools = tools
        self._clock = clock
        self._ids = ids
        self._approvals = approvals

    async def step(self, turn: Turn) -> bool:
        """Ask the model once and commit what it said. True: the run is over. Raises `Interrupted` to hand over."""
        asking = self._begin(turn)
        try:
            await turn.hold.work(self._ask(turn, asking))
        except ModelError as error:
            await self._failed(turn, asking, error)
            return True
        except Interrupted as interrupted:
            if interrupted.why is Interrupt.CANCEL:
                await self._cancelled(turn, asking)
                return True
            if interrupted.why is Interrupt.HAND_OVER:
                await self._abandon(turn, asking)
            raise
        return await self._answered(turn, asking)

    def _begin(self, turn: Turn) -> Asking:
        now, run = self._clock.now(), turn.run
        step_id = StepId("step-" + self._ids.uuid())
        offered = turn.offered(self._tools)
        request = request_of(turn.agent, run, turn.blocks, turn.messages, offered, turn.directory)
        info = self._gateway.model(request.model)
        step = Step(
            id=step_id,
            run_id=run.id,
            user_id=run.user_id,
            agent_id=run.agent_id,
            created_at=now,
            model_handle=request.model,
            context_window_tokens=turn.agent.context_window_tokens,
            model_endpoint=info.base_url if info else None,
            attempt=run.epoch,
        )
        step = traced_step(step, turn.agent)
        base = Message(
            id=attempt_message_id(run.id, run.epoch, run.step_count),
            user_id=run.user_id,
            agent_id=run.agent_id,
            conversation_id=run.conversation_id,
            run_id=run.id,
            step_id=step_id,
            role=Role.ASSISTANT,
            created_at=now,
        )
        emit = turn.hold.journal.emit if run.request.stream_tokens else None
        answer = Answer(base, run.request, turn.asks, emit)
        return Asking(step, answer, request, self._clock.monotonic_ns())

    async def _ask(self, turn: Turn, asking: Asking) -> None:
        answer, journal = asking.answer, turn.hold.journal
        stream = cast("AsyncGenerator[Delta, None]", self._gateway.stream(asking.request))
        async with aclosing(stream) as deltas:
            async for delta in deltas:
                if asking.first_ns is None and isinstance(delta, TextDelta | ReasoningDelta | CallDelta):
                    asking.first_ns = self._clock.monotonic_ns()
                answer.add(delta)
                if answer.pieces % ROOM_EVERY_PIECES == 0:
                    await journal.room()

    async def _answered(self, turn: Turn, asking: Asking) -> bool:
        """Commit a whole answer. True: the run is over."""
        message, finish = turn.with_rules(asking.answer.message()), asking.answer.finish
        usage = finish.usage if finish is not None else Usage()
        turn.context_tokens = usage.total_tokens or None
        events = () if turn.run.request.stream_tokens else turn.told([message])
        ttft_ns = self._ttft_ns(turn, asking)
        if message.tool_calls:
            return await self._called(turn, asking, message, usage, ttft_ns)
        cut = finish is not None and finish.reason == "length"
        if not cut and (owed := turn.owes()):
            await self._not_yet(turn, asking, message, owed)
            return False
        reason = StopReason.MAX_TOKENS_EXCEEDED if cut else StopReason.END_TURN
        step = self._timed(asking, usage).ended(StepStatus.SUCCESS, reason.value)
        error = _cut_off() if cut else None
        await turn.finish(
            Finished(reason, usage, 1, ttft_ns, error),
            messages=(message,),
            steps=(step,),
            events=events,
            traces=self._traced(asking),
        )
        return True

    async def _not_yet(self, turn: Turn, asking: Asking, message: Message, owed: tuple[str, ...]) -> None:
        """Commit an answer that would end the turn too early, and tell the model what a rule still asks for."""
        usage = asking.answer.finish.usage if asking.answer.finish is not None else Usage()
        step = self._timed(asking, usage).ended(StepStatus.SUCCESS, None)
        note = replace(
            message,
            id=MessageId("message-" + self._ids.uuid()),
            role=Role.USER,
            created_at=self._clock.now(),
            parts=(TextPart(OWED_TEXT + ", ".join(owed)),),
            step_id=None,
        )
        events = () if turn.run.request.stream_tokens else turn.told([message])
        given = Advanced(usage, 1, self._ttft_ns(turn, asking))
        traces = self._traced(asking)
        await turn.advance(given, messages=(message, note), steps=(step,), events=events, traces=traces)

    async def _called(
        self, turn: Turn, asking: Asking, message: Message, usage: Usage, ttft_ns: int | None
    ) -> bool:
        """Commit an answer that asks for tools. True: it waits for a person or the client, so this run is over."""
        events = () if turn.run.request.stream_tokens else turn.told([message])
        step = self._timed(asking, usage)
        if message.awaits_approval:
            reason = StopReason.REQUIRES_APPROVAL
            until = self._approvals.until(turn.agent, message, self._clock.now())
            await turn.finish(
                Finished(reason, usage, 1, ttft_ns, asks=message.id, asks_until=until),
                messages=(message,),
                steps=(step.ended(StepStatus.SUCCESS, reason.value),),
                events=events,
                traces=self._traced(asking),
            )
            return True
        given = Advanced(usage, 1, ttft_ns)
        traces = self._traced(asking)
        await turn.advance(given, messages=(message,), steps=(step,), events=events, traces=traces)
        return False

    async def _failed(self, turn: Turn, asking: Asking, error: ModelError) -> None:
        reason = _STOP_BY_KIND.get(error.kind, StopReason.LLM_API_ERROR)
        details = {"error_type": error.kind.value, "message": error.detail, "detail": error.cause or None}
        # A request that was refused, or never answered, cost nothing.
        usage = self._guessed(asking) if asking.answer.pieces else Usage()
        step = replace(
            self._timed(asking, usage).ended(StepStatus.FAILED, reason.value),
            error_type=error.kind.value,
            error_data=details,
            retries=error.retries,
        )
        kept, events = self._kept(turn, asking, Mark.FAILED)
        await turn.finish(
            Finished(reason, step.usage, 1, self._ttft_ns(turn, asking), details),
            messages=kept,
            steps=(step,),
            events=events,
            leaves=turn.refused() if error.kind is ModelErrorKind.BAD_REQUEST else (),
            traces=self._traced(asking, details),
        )

    async def _cancelled(self, turn: Turn, asking: Asking) -> None:
        usage = self._guessed(asking)
        step = self._timed(asking, usage).ended(StepStatus.CANCELLED, StopReason.CANCELLED.value)
        kept, events = self._kept(turn, asking, Mark.CANCELLED)
        await turn.finish(
            Finished(StopReason.CANCELLED, usage, 1, self._ttft_ns(turn, asking)),
            messages=kept,
            steps=(step,),
            events=events,
            traces=self._traced(asking),
        )

    async def _abandon(self, turn: Turn, asking: Asking) -> None:
        """Keep what this attempt said, marked, and tell readers that another one will say it anew."""
        if asking.answer.empty:
            return
        usage = self._guessed(asking)
        message = replace(asking.answer.message(Mark.ABANDONED), in_context=False)
        step = replace(self._timed(asking, usage), error_type="abandoned").ended(StepStatus.FAILED, None)
        ping = Ping("ping-" + self._ids.uuid(), self._clock.now(), (message.id,), turn.run.epoch + 1)
        told = (ping,) if turn.run.request.stream_tokens else ()
        traces = self._traced(asking)
        await turn.advance(Advanced(usage), messages=(message,), steps=(step,), events=told, traces=traces)

    def _traced(self, asking: Asking, error: Mapping[str, object] | None = None) -> tuple[ProviderTrace, ...]:
        """What went out and came back, where the server keeps it."""
        if self._tracer is None:
            return ()
        return (self._tracer.trace(asking.step, asking.request, asking.answer, error),)

    def _kept(
        self, turn: Turn, asking: Asking, mark: Mark
    ) -> tuple[tuple[Message, ...], tuple[RunEvent, ...]]:
        message = asking.answer.message(mark)
        if not message.parts:
            return (), ()
        events = () if turn.run.request.stream_tokens else turn.told([message])
        return (message,), events

    def _timed(self, asking: Asking, usage: Usage) -> Step:
        now_ns = self._clock.monotonic_ns()
        first = asking.first_ns
        finish = asking.answer.finish
        return replace(
            asking.step,
            usage=usage,
            model_ns=now_ns - asking.began_ns,
            ttft_ns=None if first is None else first - asking.began_ns,
            request_id=finish.response_id if finish else None,
            retries=finish.retries if finish else 0,
        )

    def _ttft_ns(self, turn: Turn, asking: Asking) -> int | None:
        """From the run's admission to the first thing the model said."""
        if turn.run.ttft_ns is not None or asking.first_ns is None:
            return None
        since_first_ns = self._clock.monotonic_ns() - asking.first_ns
        age_ns = int((self._clock.now() - turn.run.created_at).total_seconds() * 1e9)
        return max(0, age_ns - since_first_ns)

    def _guessed(self, asking: Asking) -> Usage:
        """The usage of an answer that broke off before its provider told it: a piece a token, four characters a token."""
        if asking.answer.finish is not None:
            return asking.answer.finish.usage
        return Usage(tokens_of_request(asking.request), asking.answer.pieces)


def _cut_off() -> dict[str, object]:
    return {
        "error_type": "max_tokens_exceeded",
        "message": "The answer reached the model's limit of output tokens and was cut off there.",
        "detail": "Raise max_tokens in the agent's model settings, or ask for a shorter answer.",
    }
