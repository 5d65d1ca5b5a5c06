"""Writes down what went to a model and what came back, for who asked the server to keep it. It asks nothing itself.

Both are in the form of Chat Completions, whatever the provider speaks: it is what the loop asked, not a copy of the wire.
What looks like a key is left out. Bounded: the oldest messages of a long question go first, and it is said how many.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import orjson

from runstead.domain.message import ReasoningPart
from runstead.domain.step import Step
from runstead.domain.trace import ProviderTrace
from runstead.llm.chat_messages import ChatBodies
from runstead.llm.failures import without_keys
from runstead.llm.types import ModelRequest
from runstead.loop.answer import Answer

TRACE_BYTES_MAX = 1024 * 1024
Json = dict[str, object]


class Tracer:
    """Makes traces. One serves all runs."""

    def __init__(self) -> None:
        self._bodies = ChatBodies()

    def trace(
        self, step: Step, request: ModelRequest, answer: Answer, error: Mapping[str, object] | None
    ) -> ProviderTrace:
        """The trace of one question; `error` is what went wrong, where something did."""
        assert step.run_id is not None, "a step that is under way has a run"
        body = cast("Json", orjson.loads(self._bodies.body(request, request.model)))
        return ProviderTrace(
            step_id=step.id,
            user_id=step.user_id,
            agent_id=step.agent_id,
            run_id=step.run_id,
            created_at=step.created_at,
            request=without_keys(_bounded(body, "messages")),
            response=without_keys(_bounded(_response(request, answer, error), "choices")),
        )


def _response(request: ModelRequest, answer: Answer, error: Mapping[str, object] | None) -> Json:
    """What came, as an answer of Chat Completions; what was said before an error stands beside it."""
    said, finish = answer.message(), answer.finish
    message: Json = {"role": "assistant", "content": said.text or None}
    thought = "".join(part.text for part in said.parts if isinstance(part, ReasoningPart))
    if thought:
        message["reasoning"] = thought
    if said.tool_calls:
        message["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in said.tool_calls
        ]
    reason = finish.reason if finish is not None else None
    found: Json = {
        "id": finish.response_id if finish is not None else None,
        "object": "chat.completion",
        "model": request.model,
        "choices": [{"index": 0, "finish_reason": reason, "message": message}],
    }
    if finish is not None:
        usage = finish.usage
        found["usage"] = {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.total_tokens,
        }
    return found if error is None else {**found, "error": dict(error)}


def _bounded(document: Json, long: str) -> str:
    """The document as JSON of at most TRACE_BYTES_MAX; of its list `long` the newest entries that fit."""
    data = orjson.dumps(document)
    if len(data) <= TRACE_BYTES_MAX:
        return data.decode()
    entries = [orjson.dumps(each) for each in cast("list[object]", document[long])]
    left = TRACE_BYTES_MAX - len(orjson.dumps({**document, long: [], "omitted": len(entries)}))
    kept: list[orjson.Fragment] = []
    for entry in reversed(entries):
        left -= len(entry) + 1
        if left < 0:
            break
        kept.append(orjson.Fragment(entry))
    short = orjson.dumps({**document, long: kept[::-1], "omitted": len(entries) - len(kept)})
    if len(short) <= TRACE_BYTES_MAX:
        return short.decode()
    return orjson.dumps(
        {"model": document.get("model"), "omitted": len(entries), "bytes": len(data)}
    ).decode()
