"""The events of pydantic-ai's streams, turned into deltas. No I/O: an event in, deltas out.

What a provider wants back on the next turn (signatures, item ids, hidden thoughts) comes with the end of a part; it is put
in the `provider` of the delta that ends it, and `pydantic_ai_messages` reads it there. Heavy: import it lazily.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from pydantic_ai.messages import (
    FinalResultEvent,
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartEndEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
    ToolCallPart,
    ToolCallPartDelta,
)
from pydantic_ai.models import StreamedResponse
from pydantic_ai.usage import RequestUsage

from runstead.domain.step import Usage
from runstead.llm import failures
from runstead.llm.types import CallDelta, Delta, Finish, ReasoningDelta, TextDelta

REDACTED = "redacted_thinking"
_REASONS = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "tool_call": "tool_calls",
}


class EventReader:
    """One answer being read. `begun`: something of it was handed on."""

    def __init__(self, provider: str) -> None:
        self._provider = provider
        self._calls: dict[int, int] = {}
        self.begun = False

    def read(self, event: ModelResponseStreamEvent) -> Sequence[Delta]:
        """The deltas of one event."""
        deltas: Sequence[Delta] = ()
        if isinstance(event, PartDeltaEvent):
            deltas = self._delta(event)
        elif isinstance(event, PartStartEvent):
            deltas = self._start(event)
        elif isinstance(event, PartEndEvent):
            deltas = self._end(event)
        else:
            # The library's guess at which part is the result; only its agents use it.
            _: FinalResultEvent = event
        self.begun = self.begun or bool(deltas)
        return deltas

    def finish(self, answer: StreamedResponse) -> Finish:
        """The last delta. Raises `ModelError` where the answer broke off or ended with an error."""
        if answer.finish_reason is None:
            raise failures.incomplete(self._provider)
        reason = _REASONS.get(answer.finish_reason)
        if reason is None:
            raise failures.from_stream(self._provider, {"message": "the answer ended with an error"})
        if reason == "stop" and self._calls:
            reason = "tool_calls"
        return Finish(reason, usage_of(answer.usage), answer.provider_response_id)

    def _start(self, event: PartStartEvent) -> Sequence[Delta]:
        part = event.part
        if isinstance(part, TextPart):
            return (TextDelta(part.content),) if part.content else ()
        if isinstance(part, ThinkingPart):
            return (ReasoningDelta(part.content),) if part.content else ()
        if isinstance(part, ToolCallPart):
            index = self._calls[event.index] = len(self._calls)
            return (CallDelta(index, part.tool_call_id, part.tool_name, _arguments(part.args) or None),)
        # Parts of tools that the provider runs itself, which are never asked for.
        return ()

    def _delta(self, event: PartDeltaEvent) -> Sequence[Delta]:
        delta = event.delta
        if isinstance(delta, TextPartDelta):
            return (TextDelta(delta.content_delta),) if delta.content_delta else ()
        if isinstance(delta, ThinkingPartDelta):
            return (ReasoningDelta(delta.content_delta),) if delta.content_delta else ()
        if isinstance(delta, ToolCallPartDelta):
            arguments = _arguments(delta.args_delta)
            index = self._calls.get(event.index)
            return (CallDelta(index, arguments=arguments),) if arguments and index is not None else ()
        return ()

    def _end(self, event: PartEndEvent) -> Sequence[Delta]:
        part = event.part
        if isinstance(part, ThinkingPart):
            back = _sent_back(part.provider_name, part.id, part.provider_details)
            if part.id == REDACTED:
                return (ReasoningDelta("", redacted=part.signature or "", provider=back),)
            return (ReasoningDelta("", part.signature, provider=back),) if part.signature or back else ()
        if isinstance(part, ToolCallPart) and event.index in self._calls:
            back = _sent_back(part.provider_name, part.id, part.provider_details)
            return (CallDelta(self._calls[event.index], provider=back),) if back else ()
        return ()


def usage_of(usage: RequestUsage) -> Usage:
    """Tokens as the library counts them: cached ones are part of the input, reasoning part of the output."""
    details = usage.details
    return Usage(
        usage.input_tokens,
        usage.output_tokens,
        usage.cache_read_tokens,
        usage.cache_write_tokens,
        usage.output_reasoning_tokens
        or details.get("reasoning_tokens")
        or details.get("thoughts_tokens")
        or 0,
    )


def _arguments(args: object) -> str:
    if args is None:
        return ""
    return args if isinstance(args, str) else orjson.dumps(args).decode()


def _sent_back(
    system: str | None, item_id: str | None, details: Mapping[str, Any] | None
) -> Mapping[str, object] | None:
    """What must go back with a part on the next turn, None where nothing must."""
    if item_id is None and not details:
        return None
    return {"by": system, "id": item_id, "details": dict(details) if details else None}
