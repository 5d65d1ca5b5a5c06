"""The demonstration: it remembers by its memory tools, calls what it is told to, and always says the same."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runstead.domain.message import Message, Role, TextPart
from runstead.domain.tool import ToolSpec
from runstead.ids import DEFAULT_USER, AgentId, MessageId
from runstead.llm.demo_answers import Call, answer_to
from runstead.llm.types import ModelRequest

HUMAN = '<block label="human" chars_used="0" chars_limit="100">\n<value>{}</value>\n</block>'


def asked(text: str, *tools: str, human: str = "") -> ModelRequest:
    at = datetime(2026, 1, 2, tzinfo=UTC)
    said = Message(MessageId("message-1"), DEFAULT_USER, AgentId("agent-1"), Role.USER, at, (TextPart(text),))
    specs = tuple(ToolSpec(name, "", {"type": "object", "properties": {}}) for name in tools)
    return ModelRequest("runstead/demo", HUMAN.format(human), (said,), specs)


@pytest.mark.parametrize(("tool", "field"), [("memory_insert", "new_str"), ("core_memory_append", "content")])
def test_a_name_is_written_into_memory(tool: str, field: str) -> None:
    (call,) = answer_to(asked("Hello, my name is Ada.", tool)).calls
    assert call == Call(tool, {"label": "human", field: "The user's name is Ada."})


def test_what_stands_in_memory_is_known_later() -> None:
    assert "Ada" in answer_to(asked("What is my name?", human="The user's name is Ada.")).text


def test_a_tool_is_called_with_the_arguments_given() -> None:
    (call,) = answer_to(asked('call weather with {"city": "Oslo"}', "weather")).calls
    assert call == Call("weather", {"city": "Oslo"})
