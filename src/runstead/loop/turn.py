"""The state of a run while it is being worked on: what was loaded, what has been committed since, what is still open.

A turn mirrors the store: it changes only after a commit stood. It knows how to make commits; it never decides which.
What the agent is told of its folders is looked at before each question: tools and clients open and close files meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runstead.clock import Clock
from runstead.domain import tool_rules
from runstead.domain.agent import Block
from runstead.domain.event import Failed, RunEvent, Stopped, Used
from runstead.domain.folder import NO_DIRECTORY
from runstead.domain.message import Message, Role, ToolCall
from runstead.domain.pending import OpenCalls, open_in
from runstead.domain.run import Run, StopReason
from runstead.domain.run_machine import Advanced, Change, Finished, transition
from runstead.domain.shown import is_prompt
from runstead.domain.step import Step
from runstead.domain.tokens import tokens_of
from runstead.domain.tool import ToolSpec
from runstead.domain.tool_rules import Called
from runstead.domain.trace import ProviderTrace
from runstead.domain.transcript import told_all
from runstead.ids import MessageId
from runstead.loop.history import Seen
from runstead.loop.hold import Hold
from runstead.loop.rules import chain_of, returned_in, with_arguments
from runstead.loop.together import Begun, Spent
from runstead.store.turns import LoadedTurn
from runstead.tools.registry import Toolbox


class Turn:
    """One run being worked on."""

    def __init__(self, hold: Hold, loaded: LoadedTurn, seen: Seen, clock: Clock) -> None:
        self.hold = hold
        self.agent = loaded.agent
        self.blocks = loaded.blocks
        self.stored = loaded.stored
        self.directory = NO_DIRECTORY
        self.begun: Begun = {}
        self.ran: dict[str, Spent] = {}
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
        """Of a tool's name: whether a person must approve it, and whether the client runs it.

        A call that breaks a rule is nobody's to answer: it is refused.
        """
        if self.refuses(name) is not None:
            return False, False
        client = any(tool.name == name for tool in self.run.request.client_tools)
        return self.agent.has_rule("requires_approval", name) and not client, client

    def earlier(self) -> tuple[MessageId, ...]:
        """What the model sees of turns before this one."""
        own = chain_of(self.messages, self.run.id)
        return tuple(m.id for m in self.messages if not is_prompt(m) and m.run_id not in own)

    def refused(self) -> tuple[MessageId, ...]:
        """What was sent to this run, if nothing came of it: what a model refuses once it would refuse in every question."""
        own = [m for m in self.messages if m.run_id == self.run.id]
        if self.run.step_count or any(m.role is Role.APPROVAL for m in own):
            return ()
        return tuple(m.id for m in own)

    def offered(self, tools: Toolbox) -> tuple[ToolSpec, ...]:
        """The tools that the model is told of now: those that the agent's rules let it call."""
        specs = tools.specs(self.agent, self.run.request.client_tools, self.stored)
        if not tool_rules.order_matters(self.agent.tool_rules):
            return specs
        may = tool_rules.allowed(self.agent.tool_rules, self._tool_names, self._called())
        return tuple(spec for spec in specs if spec.name in may)

    def refuses(self, name: str) -> str | None:
        """Why a rule does not let this tool be called now, in words for the model; None where it may be."""
        rules = self.agent.tool_rules
        if not tool_rules.order_matters(rules):
            return None
        return tool_rules.refusal(rules, self._tool_names, self._called(), name)

    def with_rules(self, said: Message) -> Message:
        """What the model said, its first call with the arguments that a rule gives: so it is shown, asked about and run."""
        rules = self.agent.tool_rules
        if not said.tool_calls or not tool_rules.order_matters(rules):
            return said
        first, *others = said.tool_calls
        given = tool_rules.prefilled(rules, self._called(), first.name)
        return replace(said, tool_calls=(with_arguments(first, given), *others))

    def owes(self) -> tuple[str, ...]:
        """The tools that must still be called before the turn may end."""
        rules = self.agent.tool_rules
        if not tool_rules.order_matters(rules):
            return ()
        return tool_rules.owed(rules, self._tool_names, self._called())

    def together(self, calls: Sequence[ToolCall]) -> bool:
        """Whether these calls may be run side by side: their makers said so, and no rule asks for an order."""
        if len(calls) < 2 or tool_rules.order_matters(self.agent.tool_rules):
            return False
        return all((tool := self.stored.get(call.name)) is not None and tool.parallel for call in calls)

    def ends_with(self, calls: Sequence[ToolCall]) -> StopReason | None:
        """Why the run ends after these calls; None where the model goes on."""
        rules, names = self.agent.tool_rules, self._tool_names
        made = self._called() if tool_rules.order_matters(rules) else ()
        returned = {call.name for call in made}
        new = [Called(call.name) for call in calls if call.name not in returned]
        name = tool_rules.ends(rules, names, tool_rules.kept(rules, names, [*made, *new]))
        if name is None:
            return None
        return StopReason.END_TURN if name == self.run.request.assistant_tool_name else StopReason.TOOL_RULE

    @property
    def _tool_names(self) -> tuple[str, ...]:
        return (*self.agent.tools, *(tool.name for tool in self.run.request.client_tools))

    def _called(self) -> tuple[Called, ...]:
        """What was called in this run, without what broke a rule."""
        returned = returned_in(self.messages, self.run.id)
        return tool_rules.kept(self.agent.tool_rules, self._tool_names, returned)

    async def advance(
        self,
        given: Advanced,
        *,
        messages: tuple[Message, ...] = (),
        steps: tuple[Step, ...] = (),
        memory: tuple[Block, ...] = (),
        events: tuple[RunEvent, ...] = (),
        leaves: tuple[MessageId, ...] = (),
        traces: tuple[ProviderTrace, ...] = (),
    ) -> None:
        """Commit that the run goes on."""
        after = transition(self.run, given, self._clock.now())
        await self._commit(Change(after, messages, steps, memory, events, leaves, traces))

    async def finish(
        self,
        given: Finished,
        *,
        messages: tuple[Message, ...] = (),
        steps: tuple[Step, ...] = (),
        memory: tuple[Block, ...] = (),
        events: tuple[RunEvent, ...] = (),
        leaves: tuple[MessageId, ...] = (),
        traces: tuple[ProviderTrace, ...] = (),
    ) -> None:
        """Commit the end of the run, with the events that every stream ends with."""
        after = transition(self.run, given, self._clock.now())
        used = Used(after.usage, after.step_count, after.id, self.context_tokens)
        failed: tuple[RunEvent, ...] = ()
        if given.error is not None:
            error = {key: str(value) for key, value in given.error.items() if value is not None}
            failed = (Failed(error["error_type"], error["message"], error.get("detail")),)
        ending = (*events, *failed, Stopped(given.reason), used)
        await self._commit(Change(after, messages, steps, memory, ending, leaves, traces, callback=True))

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
