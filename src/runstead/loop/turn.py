"""The state of a run while it is being worked on: what was loaded, what has been committed since, what is still open.

A turn mirrors the store: it changes only after a commit stood. It knows how to make commits; it never decides which.
"""

from __future__ import annotations

from collections.abc import Sequence

from runstead.clock import Clock
from runstead.domain.agent import Agent, Block
from runstead.domain.event import Failed, RunEvent, Stopped, Used
from runstead.domain.message import Message, ToolCall
from runstead.domain.pending import OpenCalls, open_in
from runstead.domain.run import Run, StopReason
from runstead.domain.run_machine import Advanced, Change, Finished, transition
from runstead.domain.step import Step
from runstead.domain.tokens import tokens_of
from runstead.domain.transcript import told_all
from runstead.ids import MessageId
from runstead.loop.history import Seen
from runstead.loop.hold import Hold


class Turn:
    """One run being worked on."""

    def __init__(self, hold: Hold, agent: Agent, blocks: tuple[Block, ...], seen: Seen, clock: Clock) -> None:
        self.hold = hold
        self.agent = agent
        self.blocks = blocks
        self.messages: list[Message] = list(seen.messages)
        self.messages_tokens = seen.tokens
        self.context_tokens: int | None = None
        self._clock = clock

    @property
    def run(self) -> Run:
        """The run as it was last committed."""
        return self.hold.run

    def open(self) -> OpenCalls | None:
        """What the conversation still waits for."""
        return open_in(self.messages)

    def asks(self, name: str) -> tuple[bool, bool]:
        """Of a tool's name: whether a person must approve it, and whether the client runs it."""
        client = any(tool.name == name for tool in self.run.request.client_tools)
        return self.agent.has_rule("requires_approval", name) and not client, client

    def ends_with(self, calls: Sequence[ToolCall]) -> StopReason | None:
        """Why the run ends after these calls; None where the model goes on."""
        for call in calls:
            if self.agent.has_rule("exit_loop", call.name):
                said = call.name == self.run.request.assistant_tool_name
                return StopReason.END_TURN if said else StopReason.TOOL_RULE
        return None

    async def advance(
        self,
        given: Advanced,
        *,
        messages: tuple[Message, ...] = (),
        steps: tuple[Step, ...] = (),
        memory: tuple[Block, ...] = (),
        events: tuple[RunEvent, ...] = (),
        leaves: tuple[MessageId, ...] = (),
    ) -> None:
        """Commit that the run goes on."""
        after = transition(self.run, given, self._clock.now())
        await self._commit(Change(after, messages, steps, memory, events, leaves))

    async def finish(
        self,
        given: Finished,
        *,
        messages: tuple[Message, ...] = (),
        steps: tuple[Step, ...] = (),
        memory: tuple[Block, ...] = (),
        events: tuple[RunEvent, ...] = (),
        leaves: tuple[MessageId, ...] = (),
    ) -> None:
        """Commit the end of the run, with the events that every stream ends with."""
        after = transition(self.run, given, self._clock.now())
        used = Used(after.usage, after.step_count, after.id, self.context_tokens)
        failed: tuple[RunEvent, ...] = ()
        if given.error is not None:
            error = {key: str(value) for key, value in given.error.items() if value is not None}
            failed = (Failed(error["error_type"], error["message"], error.get("detail")),)
        ending = (*events, *failed, Stopped(given.reason), used)
        await self._commit(Change(after, messages, steps, memory, ending, leaves, callback=True))

    def told(self, messages: Sequence[Message]) -> tuple[RunEvent, ...]:
        """The events of stored messages, for who does not follow token by token."""
        return tuple(told_all(messages, self.run.request))

    async def _commit(self, change: Change) -> None:
        await self.hold.journal.commit(change)
        self.hold.run = change.run
        changed = {block.id: block for block in change.blocks}
        self.blocks = tuple(changed.get(block.id, block) for block in self.blocks)
        if change.leaves_context:
            gone = set(change.leaves_context)
            self.messages = [m for m in self.messages if m.id not in gone]
            self.messages_tokens = sum(map(tokens_of, self.messages))
        came = [m for m in change.messages if m.in_context]
        self.messages += came
        self.messages_tokens += sum(map(tokens_of, came))
