"""A stored message with other words in it: what was said changes, what happened does not."""

from __future__ import annotations

from dataclasses import replace
from json import loads

import pytest

from runstead.clock import ManualClock
from runstead.domain.edit import edited
from runstead.domain.message import ImagePart, Message, ReasoningPart, Role, TextPart, ToolCall
from runstead.errors import Invalid
from runstead.ids import DEFAULT_USER, AgentId, MessageId, RunId

SAID = Message(
    MessageId("message-1"),
    DEFAULT_USER,
    AgentId("agent-1"),
    Role.ASSISTANT,
    ManualClock().now(),
    (ReasoningPart("hm", "signed"), TextPart("one"), TextPart("two")),
    (ToolCall("call-1", "roll", '{"sides": 6}'),),
)


def test_a_text_takes_the_place_of_all_text() -> None:
    """Thoughts and calls stay as they were."""
    after = edited(SAID, "assistant_message", (TextPart("three"),))

    assert (SAID.parts[0], TextPart("three")) == after.parts
    assert SAID.tool_calls == after.tool_calls


def test_an_edited_thought_is_not_signed_any_more() -> None:
    """A provider would refuse a signature of other words."""
    after = edited(SAID, "reasoning_message", (TextPart("ah"),))

    assert (ReasoningPart("ah"), *SAID.parts[1:]) == after.parts


def test_what_an_agent_says_by_a_call_is_in_the_call() -> None:
    """Its text stays a thought, and the call's other arguments stay."""
    call = ToolCall("call-1", "send_message", '{"message": "hi", "heartbeat": true}')
    after = edited(replace(SAID, tool_calls=(call,)), "assistant_message", (TextPart("ho"),))

    assert {"message": "ho", "heartbeat": True} == loads(after.tool_calls[0].arguments)
    assert SAID.parts == after.parts


def test_the_system_prompt_is_the_agents_to_change() -> None:
    """What clients sent in its role is like all that they sent."""
    new = (TextPart("new"),)
    prompt = replace(SAID, role=Role.SYSTEM, tool_calls=(), parts=(TextPart("old"),))

    with pytest.raises(Invalid, match="the agent's `system`"):
        edited(prompt, "system_message", new)
    assert new == edited(replace(prompt, run_id=RunId("run-1")), "system_message", new).parts


def test_what_a_person_sent_is_replaced_whole() -> None:
    """Images included."""
    sent = replace(
        SAID, role=Role.USER, tool_calls=(), parts=(TextPart("see"), ImagePart("https://x.y/z.png"))
    )

    assert (TextPart("look"),) == edited(sent, "user_message", (TextPart("look"),)).parts


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        (SAID, "user_message", "its role is assistant"),
        (replace(SAID, role=Role.TOOL), "assistant_message", "its role is tool"),
        (replace(SAID, parts=()), "assistant_message", "no text"),
        (replace(SAID, parts=(TextPart("x"),)), "reasoning_message", "no thought"),
        (replace(SAID, parts=(ReasoningPart("", redacted="…"),)), "reasoning_message", "no thought"),
    ],
)
def test_what_does_not_fit_says_why(message: Message, kind: str, says: str) -> None:
    """Another kind of message, or nothing of the kind in it."""
    with pytest.raises(Invalid, match=says):
        edited(message, kind, (TextPart("y"),))
