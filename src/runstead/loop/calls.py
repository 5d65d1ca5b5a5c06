"""The tools an answer asks for: each is run, and its return committed, once. A return that is committed is never made again.

A call in flight when its process died is run again by who goes on; the call's id is given to the tool as an idempotency key.
Where the tool says `on_interrupt: fail`, a commit says that the call begins before it does, and it is never begun again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from runstead.clock import Clock
from runstead.domain.message import Message, Role, ToolCall, ToolReturn
from runstead.domain.pending import DENIED_TEXT, OpenCalls
from runstead.domain.run import StopReason
from runstead.domain.run_machine import Advanced, Finished
from runstead.domain.step import Step, StepStatus, ToolTime
from runstead.domain.tool import ToolOutcome
from runstead.ids import Ids, MessageId
from runstead.loop.hold import Interrupt, Interrupted
from runstead.loop.together import Spent, side_by_side
from runstead.loop.turn import Turn
from runstead.store import messages as message_rows
from runstead.store import steps as step_rows
from runstead.store.database import Database
from runstead.tools.registry import Toolbox, ToolContext

# Calls of one step whose times are kept.
TOOL_TIMES_MAX = 100
CANCELLED_TEXT = "The run was cancelled before this call came to an end."
INTERRUPTED_TEXT = (
    "The call was interrupted and may have taken effect; it was not run again."
    " Find out what it did before you call it again."
)


class Caller:
    """Runs calls. One serves all runs."""

    def __init__(self, db: Database, tools: Toolbox, clock: Clock, ids: Ids) -> None:
        self._db = db
        self._tools = tools
        self._clock = clock
        self._ids = ids

    async def run(self, turn: Turn, calls: OpenCalls) -> bool:
        """Run what is ready, side by side where that is allowed; returns are committed in the order that was asked for.

        True: the run is over with it.
        """
        if not turn.together(calls.ready):
            return await self._in_order(turn, calls)
        async with side_by_side(lambda call: self._run(turn, call), calls.ready) as begun:
            turn.begun = begun
            try:
                return await self._in_order(turn, calls)
            finally:
                turn.begun = {}

    async def _in_order(self, turn: Turn, calls: OpenCalls) -> bool:
        began_ns = self._clock.monotonic_ns()
        end = turn.ends_with(calls.request.tool_calls)
        if end is None and turn.run.step_count >= turn.run.request.max_steps:
            end = StopReason.MAX_STEPS
        for left in range(len(calls.ready), 0, -1):
            call = calls.ready[-left]
            try:
                outcome = await self._outcome(turn, calls, call)
            except Interrupted as interrupted:
                if interrupted.why is not Interrupt.CANCEL:
                    raise
                await self._cancelled(turn, calls, calls.ready[-left:])
                return True
            message = self._message(turn, calls, call, outcome)
            last = left == 1
            steps = await self._ended(turn, calls, began_ns, end) if last else ()
            if last and end is not None:
                await turn.finish(
                    Finished(end),
                    messages=(message,),
                    steps=steps,
                    memory=outcome.blocks,
                    events=turn.told([message]),
                )
                return True
            await turn.advance(
                Advanced(),
                messages=(message,),
                steps=steps,
                memory=outcome.blocks,
                events=turn.told([message]),
            )
        return False

    async def settle(self, turn: Turn, calls: OpenCalls) -> None:
        """Commit the returns that an answer to an approval brings by itself: denials, and results of the client's tools."""
        answers = [m for m in turn.messages if m.role is Role.APPROVAL and m.run_id == turn.run.id]
        brought = _brought(answers)
        messages = tuple(
            self._message(turn, calls, call, brought[call.id]) for call in calls.waiting if call.id in brought
        )
        if messages:
            await turn.advance(Advanced(), messages=messages, events=turn.told(messages))

    async def returns(self, turn: Turn, calls: OpenCalls, text: str) -> tuple[Message, ...] | None:
        """What closes the calls that are this run's to close, if it can do no more for them; None where they are another's.

        A run closes what it asked for and what it answers. What its answer brought is kept, even if its turn never came.
        """
        answer = await self._db.read(message_rows.answer_of_run, turn.run.user_id, turn.run.id)
        own = calls.request.run_id == turn.run.id
        answers = [] if answer is None or answer.answers != calls.request.id else [answer]
        if not own and not answers:
            return None
        outcome, brought = ToolOutcome("error", text), _brought(answers)
        return tuple(
            self._message(turn, calls, call, brought.get(call.id, outcome))
            for call in calls.request.tool_calls
            if call in calls.ready or call in calls.waiting
        )

    async def _come_of(self, turn: Turn, call: ToolCall) -> ToolOutcome:
        """What comes of one call; one that breaks a rule of the agent's is refused."""
        if call.id in turn.begun:
            return await turn.begun[call.id]
        if (refused := turn.refuses(call.name)) is not None:
            return ToolOutcome("error", refused)
        return await self._run(turn, call)

    async def _run(self, turn: Turn, call: ToolCall) -> ToolOutcome:
        """Run one call, and note when it ran."""
        began_ns = self._clock.monotonic_ns()
        outcome = await self._tools.run(call, self._context(turn, call))
        turn.ran[call.id] = Spent(began_ns, self._clock.monotonic_ns(), outcome.status)
        return outcome

    async def _outcome(self, turn: Turn, calls: OpenCalls, call: ToolCall) -> ToolOutcome:
        """Run one call. Raises `Interrupted`."""
        if self._tools.runs_once(call.name) and not await self._begin(turn, calls, call):
            return ToolOutcome("error", INTERRUPTED_TEXT)
        return await turn.hold.work(self._come_of(turn, call))

    async def _begin(self, turn: Turn, calls: OpenCalls, call: ToolCall) -> bool:
        """Commit that a call begins. False where it was begun before, by an attempt that died before its return."""
        step = await self._step_of(calls)
        if step is None or call.id in step.begun_calls:
            return False
        begun = replace(step, begun_calls=(*step.begun_calls, call.id))
        await turn.advance(Advanced(), steps=(begun,))
        turn.hold.check()
        return True

    def _context(self, turn: Turn, call: ToolCall) -> ToolContext:
        return ToolContext(
            user_id=turn.run.user_id,
            agent=turn.agent,
            run_id=turn.run.id,
            call_id=call.id,
            blocks=turn.blocks,
            now=self._clock.now(),
            stored=turn.stored,
        )

    async def _cancelled(self, turn: Turn, calls: OpenCalls, left: tuple[ToolCall, ...]) -> None:
        outcome = ToolOutcome("error", CANCELLED_TEXT)
        messages = tuple(self._message(turn, calls, call, outcome) for call in left)
        await turn.finish(Finished(StopReason.CANCELLED), messages=messages, events=turn.told(messages))

    async def _ended(
        self, turn: Turn, calls: OpenCalls, began_ns: int, end: StopReason | None
    ) -> tuple[Step, ...]:
        """The step these calls belong to, over."""
        found = await self._step_of(calls)
        if found is None:
            return ()
        before_ns = found.tools_ns or 0
        tools_ns = before_ns + self._clock.monotonic_ns() - began_ns
        times = tuple(
            ToolTime(
                call.id,
                call.name,
                ran.status,
                before_ns + max(0, ran.began_ns - began_ns),
                ran.ended_ns - ran.began_ns,
            )
            for call in calls.ready
            if (ran := turn.ran.get(call.id)) is not None
        )
        reason = found.stop_reason if end is None else end.value
        ended = replace(found, tools_ns=tools_ns, tool_times=(*found.tool_times, *times)[:TOOL_TIMES_MAX])
        return (ended.ended(StepStatus.SUCCESS, reason),)

    async def _step_of(self, calls: OpenCalls) -> Step | None:
        """The step that asked for these calls, as it was last committed."""
        if calls.request.step_id is None:
            return None
        return await self._db.read(step_rows.find_step, calls.request.user_id, calls.request.step_id)

    def _message(self, turn: Turn, calls: OpenCalls, call: ToolCall, outcome: ToolOutcome) -> Message:
        result = ToolReturn(call.id, call.name, outcome.status, outcome.text, outcome.stdout, outcome.stderr)
        run = turn.run
        return Message(
            id=MessageId("message-" + self._ids.uuid()),
            user_id=run.user_id,
            agent_id=run.agent_id,
            conversation_id=run.conversation_id,
            run_id=run.id,
            step_id=calls.request.step_id,
            role=Role.TOOL,
            created_at=self._clock.now(),
            name=call.name,
            tool_return=result,
        )


def _brought(answers: Iterable[Message]) -> dict[str, ToolOutcome]:
    """The returns that answers bring by themselves, by call."""
    brought: dict[str, ToolOutcome] = {}
    for answer in answers:
        for decision in answer.decisions:
            if not decision.approve:
                brought[decision.call_id] = ToolOutcome("error", DENIED_TEXT + (decision.reason or "None"))
        for each in answer.client_returns:
            brought[each.call_id] = ToolOutcome(each.status, each.text, each.stdout, each.stderr)
    return brought
