"""Keeping a conversation within the model's window: the oldest turns give way to a summary that the model writes.

Nothing is deleted: the turns stay in the transcript, only the model sees the summary instead. A turn is never cut in two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runstead.clock import Clock
from runstead.domain.agent import ModelSettings
from runstead.domain.compaction import CompactionSettings, compaction_settings
from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run_machine import Advanced
from runstead.domain.shown import conversation
from runstead.domain.step import Step, StepStatus
from runstead.domain.tokens import tokens_of
from runstead.domain.tool import ToolSpec
from runstead.domain.transcript import compaction_notice
from runstead.errors import ModelError
from runstead.ids import Ids, MessageId, StepId
from runstead.llm.types import Finish, Gateway, ModelRequest
from runstead.llm.whole import SpokenAnswer, whole_answer
from runstead.loop.context import fixed_tokens, request_of
from runstead.loop.turn import Turn
from runstead.telemetry.logs import log

FULL_SHARE = 0.9
SUMMARY_TOKENS_MAX = 1000
# Where a summary may have so many characters, it may have so many tokens that they suffice for these.
CHARS_A_TOKEN_MIN = 3
TURN_CHARS_MAX = 4000
_log = log("loop")
_NEARLY_FULL = "context_window_nearly_full"
_REQUESTED = "requested"

_INSTRUCTION = (
    "You condense conversations. Below is the older part of a conversation between a user and an assistant, which the"
    " assistant will no longer see. Write what it must still know: what the user wants and has said about themselves,"
    " what was decided, what was done with which result, what is open. Names, numbers and identifiers exactly."
    " Write notes, not a story, and nothing that was not said."
)


class Compactor:
    """Summarises what no longer fits."""

    def __init__(self, gateway: Gateway, clock: Clock, ids: Ids) -> None:
        self._gateway = gateway
        self._clock = clock
        self._ids = ids

    async def make_room(self, turn: Turn, tools: Sequence[ToolSpec]) -> None:
        """Where the next question would nearly fill the window, commit a summary of the oldest turns.

        Raises `ModelError` where the model cannot summarise, `Interrupted` where the run must stop.
        """
        window = turn.agent.context_window_tokens
        fixed = fixed_tokens(turn.agent, turn.run, turn.blocks, tools, turn.directory)
        if fixed + turn.messages_tokens > window * FULL_SHARE:
            settings = compaction_settings(turn.agent, turn.run)
            old = self._oldest(turn, 0 if settings.everything else int(window * settings.keep_share) - fixed)
            await self._summarise(turn, settings, old, fixed, _NEARLY_FULL)

    async def compact(self, turn: Turn, tools: Sequence[ToolSpec]) -> None:
        """Commit a summary of the oldest turns because somebody asked for it. Raises as `make_room` does."""
        if any(message.run_id == turn.run.id for message in turn.messages):
            return  # an owner before this one did it
        fixed = fixed_tokens(turn.agent, turn.run, turn.blocks, tools, turn.directory)
        settings = compaction_settings(turn.agent, turn.run)
        said = conversation(turn.messages)
        if settings.everything:
            old = said if any(message.role is not Role.SUMMARY for message in said) else []
        else:
            room = int(turn.agent.context_window_tokens * settings.keep_share) - fixed
            old = self._oldest(turn, min(room, int(sum(map(tokens_of, said)) * settings.keep_share)))
        await self._summarise(turn, settings, old, fixed, _REQUESTED)

    def _oldest(self, turn: Turn, keep_tokens: int) -> Sequence[Message]:
        return oldest(request_of(turn.agent, turn.run, turn.blocks, turn.messages, ()).messages, keep_tokens)

    async def _summarise(
        self, turn: Turn, settings: CompactionSettings, old: Sequence[Message], fixed: int, trigger: str
    ) -> None:
        if not old:
            return
        began, began_ns = self._clock.now(), self._clock.monotonic_ns()
        answer, question = await self._answer(turn, settings, old)
        model_ns = self._clock.monotonic_ns() - began_ns
        text = answer.text[: settings.summary_chars_max]
        summary = self._summary(turn, text, old, fixed + turn.messages_tokens, trigger)
        step = replace(self._step(turn, answer.finish, question), created_at=began, model_ns=model_ns)
        events = turn.told([summary])
        if turn.run.request.include_compaction_messages:
            events = (*events, compaction_notice(summary))
        await turn.advance(
            Advanced(answer.finish.usage),
            messages=(summary,),
            steps=(step,),
            events=events,
            leaves=tuple(message.id for message in old),
        )

    async def _answer(
        self, turn: Turn, settings: CompactionSettings, old: Sequence[Message]
    ) -> tuple[SpokenAnswer, ModelRequest]:
        """What the chosen model says, and what it was asked. Where that one fails, the agent's own is asked."""
        if settings.model is not None:
            question = self._question(turn, settings, old, settings.model)
            try:
                return await turn.hold.work(whole_answer(self._gateway, question)), question
            except ModelError as error:
                _log.warning("no summary by the model that was set", model=settings.model, error=error.detail)
        question = self._question(turn, settings, old, None)
        return await turn.hold.work(whole_answer(self._gateway, question)), question

    def _question(
        self, turn: Turn, settings: CompactionSettings, old: Sequence[Message], handle: str | None
    ) -> ModelRequest:
        request = request_of(turn.agent, turn.run, turn.blocks, turn.messages, ())
        window = turn.agent.context_window_tokens
        other = None if handle is None else self._gateway.model(handle)
        if other is not None:
            window = min(window, other.context_window_tokens)
        # Half the window for what is summarised, newest last: what does not fit is the oldest of the old.
        room = window * 2
        lines: list[str] = []
        for message in reversed(old):
            line = _line(message)
            room -= len(line)
            if room < 0:
                break
            lines.append(line)
        text = "\n\n".join(reversed(lines))
        asked = Message(
            id=MessageId("message-" + self._ids.uuid()),
            user_id=turn.run.user_id,
            agent_id=turn.run.agent_id,
            role=Role.USER,
            created_at=self._clock.now(),
            parts=(TextPart(text),),
        )
        asking = request.settings if handle is None else ModelSettings()
        most = SUMMARY_TOKENS_MAX
        if settings.summary_chars_max is not None:
            most = max(1, min(settings.summary_chars_max // CHARS_A_TOKEN_MIN, window // 4))
        asking = replace(asking, max_tokens=most, response_format=None)
        instruction = settings.prompt or _INSTRUCTION
        return ModelRequest(handle or request.model, instruction, [asked], (), asking, request.user_id)

    def _summary(self, turn: Turn, text: str, old: Sequence[Message], before: int, trigger: str) -> Message:
        run = turn.run
        gone = sum(tokens_of(message) for message in old)
        stats: dict[str, object] = {
            "trigger": trigger,
            "context_tokens_before": before,
            "context_tokens_after": before - gone + len(text) // 4,
            "context_window": turn.agent.context_window_tokens,
            "messages_count_before": len(turn.messages),
            "messages_count_after": len(turn.messages) - len(old) + 1,
        }
        return Message(
            id=MessageId("message-" + self._ids.uuid()),
            user_id=run.user_id,
            agent_id=run.agent_id,
            conversation_id=run.conversation_id,
            run_id=run.id,
            role=Role.SUMMARY,
            created_at=self._clock.now(),
            parts=(TextPart(text),),
            compaction=stats,
        )

    def _step(self, turn: Turn, finish: Finish, question: ModelRequest) -> Step:
        return Step(
            id=StepId("step-" + self._ids.uuid()),
            run_id=turn.run.id,
            user_id=turn.run.user_id,
            agent_id=turn.run.agent_id,
            created_at=self._clock.now(),
            model_handle=question.model,
            status=StepStatus.SUCCESS,
            usage=finish.usage,
            retries=finish.retries,
            context_window_tokens=turn.agent.context_window_tokens,
            tags=("compaction",),
        )


def oldest(seen: Sequence[Message], keep_tokens: int) -> list[Message]:
    """The turns to summarise of what the model sees, so that about `keep_tokens` of the newest stay.

    `seen` is a `context.conversation`. Cuts before a user's message only. Empty where there is no
    such place: one turn alone fills the window.
    """
    kept, cut = 0, 0
    for index in range(len(seen) - 1, -1, -1):
        kept += tokens_of(seen[index])
        if seen[index].role is Role.USER:
            if kept > keep_tokens and cut:
                break
            cut = index
    return list(seen[:cut]) if any(m.role is not Role.SUMMARY for m in seen[:cut]) else []


def _line(message: Message) -> str:
    if message.tool_return is not None:
        said = f"({message.tool_return.name} returned) {message.tool_return.text}"
    else:
        said = message.text
    said += "".join(f" (called {call.name} with {call.arguments})" for call in message.tool_calls)
    if len(said) > TURN_CHARS_MAX:
        said = said[: TURN_CHARS_MAX // 2] + " […] " + said[-TURN_CHARS_MAX // 2 :]
    return f"{message.role.value}: {said}"
