"""What is kept of a question is bounded: the newest of it stays, and it is said how much does not."""

from __future__ import annotations

from dataclasses import replace

import orjson
import pytest

from runstead.clock import ManualClock
from runstead.domain.message import Message, Role, TextPart
from runstead.domain.run import RunRequest
from runstead.domain.step import Step
from runstead.ids import DEFAULT_USER, AgentId, MessageId, RunId, StepId
from runstead.llm.types import ModelRequest, TextDelta
from runstead.loop.answer import Answer
from runstead.loop.tracer import TRACE_BYTES_MAX, Tracer

NOW = ManualClock().now()
STEP = Step(StepId("step-1"), RunId("run-1"), DEFAULT_USER, AgentId("agent-1"), NOW, "a/b")
SAID = Message(MessageId("message-0"), DEFAULT_USER, AgentId("agent-1"), Role.USER, NOW)


def answer(text: str) -> Answer:
    """An answer that says this."""
    made = Answer(replace(SAID, role=Role.ASSISTANT), RunRequest(), lambda _: (False, False), None)
    made.add(TextDelta(text))
    return made


def asked(texts: list[str]) -> ModelRequest:
    """A question after these messages."""
    said = [replace(SAID, id=MessageId(f"message-{n}"), parts=(TextPart(t),)) for n, t in enumerate(texts)]
    return ModelRequest("a/b", "system", said)


@pytest.mark.parametrize(
    ("size", "count", "kept"), [(10, 5, 5), (400_000, 5, 2), (TRACE_BYTES_MAX + 1, 2, 0)]
)
def test_the_newest_messages_are_kept(size: int, count: int, kept: int) -> None:
    """As many as fit, in their order; what is left out is counted."""
    texts = [f"{n}" + "x" * size for n in range(count)]

    trace = Tracer().trace(STEP, asked(texts), answer("y" * size), None)

    assert len(trace.request) <= TRACE_BYTES_MAX
    assert len(trace.response) <= TRACE_BYTES_MAX
    request = orjson.loads(trace.request)
    there = [m["content"] for m in request["messages"] if m["role"] == "user"]
    assert texts[count - kept :] == there
    left_out = request.get("omitted", 0)
    assert count + 1 == left_out + len(request["messages"])
