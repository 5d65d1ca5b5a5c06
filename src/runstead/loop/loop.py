"""A run from its claim to its end: what is open is closed, then step after step until something ends it.

Works the same for a new run and for one whose process died: it looks at what is committed and does what is missing.
"""

from __future__ import annotations

from runstead.clock import Clock
from runstead.domain.approval import ApprovalTerms
from runstead.domain.event import Failed, Stopped, Used
from runstead.domain.folder import reads_files
from runstead.domain.run import StopReason
from runstead.domain.run_machine import Advanced, Change, Finished, transition
from runstead.errors import ModelError, NotFound, RunsteadError, StaleEpoch
from runstead.ids import Ids
from runstead.llm.types import Gateway
from runstead.loop.calls import CANCELLED_TEXT, Caller
from runstead.loop.compaction import Compactor
from runstead.loop.history import History
from runstead.loop.hold import Hold, Interrupt, Interrupted
from runstead.loop.recovery import disown
from runstead.loop.step import Stepper
from runstead.loop.tracer import Tracer
from runstead.loop.turn import Turn
from runstead.store.database import Database
from runstead.store.open_files import directory_of
from runstead.store.turns import load_turn
from runstead.tools.registry import Toolbox

_PENDING_TEXT = (
    "The agent is waiting for approval of a tool call, so this message was not taken."
    " Approve or deny the call, then send the message again."
)
FAILED_TEXT = "The run failed before this call came to an end; whether it took effect is not known."


class AgentLoop:
    """Executes runs."""

    def __init__(
        self,
        db: Database,
        gateway: Gateway,
        tools: Toolbox,
        clock: Clock,
        ids: Ids,
        approvals: ApprovalTerms,
        *,
        traces: bool = False,
    ) -> None:
        self._db = db
        self._clock = clock
        self._ids = ids
        self._tools = tools
        self._history = History()
        self._stepper = Stepper(gateway, tools, clock, ids, approvals, Tracer() if traces else None)
        self._caller = Caller(db, tools, clock, ids)
        self._compactor = Compactor(gateway, clock, ids)

    async def execute(self, hold: Hold) -> None:
        """Bring a claimed run to its end, or hand it over in a commit. Raises `StaleEpoch` where it has another owner."""
        try:
            turn = await self._turn(hold)
        except NotFound as error:
            await self._refuse(hold, error)
            return
        try:
            await self._go(turn)
        except Interrupted as interrupted:
            await self._interrupted(turn, interrupted.why)
        except ModelError as error:  # while it made room; a step keeps its own failure
            details = {"error_type": error.kind.value, "message": error.detail, "detail": error.cause}
            await turn.finish(Finished(StopReason.LLM_API_ERROR, error=details))

    async def fail(self, hold: Hold, error: Exception) -> None:
        """End a run that something unforeseen broke. The client learns that, not what is inside the server."""
        message = error.detail if isinstance(error, RunsteadError) else "An internal error occurred"
        details = {
            "error_type": "internal_error",
            "message": message,
            "detail": "The server's log has the cause, under this run's id.",
        }
        turn = await self._turn(hold)
        await self._end(turn, Finished(StopReason.ERROR, error=details), FAILED_TEXT)

    async def _turn(self, hold: Hold) -> Turn:
        known = self._history.known(hold.run.lane)
        loaded = await self._db.read(load_turn, hold.run, known.messages, self._tools.shipped)
        seen = self._history.take_in(hold.run.lane, loaded)
        return Turn(hold, loaded, seen, self._clock)

    async def _go(self, turn: Turn) -> None:
        if turn.run.epoch > 1:
            await disown(turn, self._clock, self._ids)
        if turn.run.cancel_requested_at is not None:
            turn.hold.interrupt(Interrupt.CANCEL)
        if turn.agent.message_buffer_autoclear and (earlier := turn.earlier()):
            await turn.advance(Advanced(), leaves=earlier)
        while not await self._next(turn):
            pass

    async def _next(self, turn: Turn) -> bool:
        """Do what is next. True: the run is over."""
        turn.hold.check()
        calls = turn.open()
        if calls is not None and calls.waiting:
            await self._caller.settle(turn, calls)
            calls = turn.open()
        if calls is not None and calls.waiting:
            await self._still_pending(turn)
            return True
        if calls is not None:
            return await self._caller.run(turn, calls)
        if reads_files(turn.agent):
            turn.directory = await self._db.read(directory_of, turn.agent)
        if turn.run.request.compact:
            await self._compactor.compact(turn, self._tools.specs(turn.agent, (), turn.stored))
            await turn.finish(Finished(StopReason.END_TURN))
            return True
        if turn.run.step_count >= turn.run.request.max_steps:
            await turn.finish(Finished(StopReason.MAX_STEPS))
            return True
        await self._compactor.make_room(turn, turn.offered(self._tools))
        return await self._stepper.step(turn)

    async def _still_pending(self, turn: Turn) -> None:
        """The conversation waits for a person, and this run brings no answer: its messages leave the context."""
        own = tuple(m.id for m in turn.messages if m.run_id == turn.run.id)
        details = {"error_type": "pending_approval", "message": _PENDING_TEXT, "detail": None}
        await turn.finish(Finished(StopReason.ERROR, error=details), leaves=own)

    async def _interrupted(self, turn: Turn, why: Interrupt) -> None:
        match why:
            case Interrupt.CANCEL:
                await self._cancel(turn)
            case Interrupt.HAND_OVER:
                return
            case Interrupt.LOST:
                raise StaleEpoch

    async def _cancel(self, turn: Turn) -> None:
        await self._end(turn, Finished(StopReason.CANCELLED), CANCELLED_TEXT)

    async def _end(self, turn: Turn, given: Finished, text: str) -> None:
        """End the run, and in the same commit the calls that nobody but this run would end."""
        calls = turn.open()
        closing = None if calls is None else await self._caller.returns(turn, calls, text)
        await turn.finish(given, messages=closing or (), events=turn.told(closing or ()))

    async def _refuse(self, hold: Hold, error: NotFound) -> None:
        """The agent is gone: there is nothing to load, so the run ends by the machine alone."""
        details = {"error_type": "agent_not_found", "message": error.detail, "detail": None}
        cancelled = hold.run.cancel_requested_at is not None
        given = Finished(StopReason.CANCELLED) if cancelled else Finished(StopReason.ERROR, error=details)
        after = transition(hold.run, given, self._clock.now())
        failed = () if cancelled else (Failed("agent_not_found", error.detail),)
        used = Used(after.usage, after.step_count, after.id)
        events = (*failed, Stopped(given.reason), used)
        await hold.journal.commit(Change(after, events=events, callback=True))
        hold.run = after
