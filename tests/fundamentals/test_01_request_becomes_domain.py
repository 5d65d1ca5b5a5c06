"""Hop 1: bytes in, domain objects out. Nothing is durable yet."""

from __future__ import annotations

import pytest

from runstead.api.wire.messages import SendRequest
from runstead.domain.message import ImagePart, Role, TextPart
from runstead.errors import Unprocessable
from runstead.runs.admit import Said
from runstead.runs.answers import Answered


def test_a_message_is_said_by_somebody() -> None:
    """Text becomes a part; the client's own id stays with it."""
    body = SendRequest.model_validate({"messages": [{"role": "user", "content": "hello", "otid": "mine"}]})

    assert (Said(Role.USER, (TextPart("hello"),), otid="mine"),) == body.inputs()


def test_input_is_shorthand_for_one_user_message() -> None:
    """A text or parts under `input` mean the same as one message."""
    body = SendRequest.model_validate({"input": [{"type": "text", "text": "hello"}]})

    assert (Said(Role.USER, (TextPart("hello"),)),) == body.inputs()


def test_a_message_can_hold_images() -> None:
    """Parts keep their order."""
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    content = [{"type": "text", "text": "what is this?"}, {"type": "image", "source": source}]
    body = SendRequest.model_validate({"messages": [{"role": "user", "content": content}]})

    said = body.inputs()[0]

    assert isinstance(said, Said)
    assert (TextPart("what is this?"), ImagePart(None, "aGk=", "image/png")) == said.parts


def test_both_generations_answer_approvals() -> None:
    """The older form names the message, the newer one each call; an item without a type is told by its members."""
    older = {"approve": False, "approval_request_id": "message-1", "reason": "no"}
    newer = {
        "type": "approval",
        "approvals": [{"type": "approval", "tool_call_id": "call-1", "approve": True}],
    }

    first = SendRequest.model_validate({"messages": [older]}).inputs()[0]
    second = SendRequest.model_validate({"messages": [newer]}).inputs()[0]

    assert isinstance(first, Answered)
    assert isinstance(second, Answered)
    assert ("message-1", False) == (first.request_id, first.approve_all)
    assert [("call-1", True)] == [(d.call_id, d.approve) for d in second.decisions]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"messages": []},
        {"messages": [{"role": "user", "content": "a"}], "input": "b"},
        {"messages": [{"role": "user", "content": [{"type": "audio"}]}]},
    ],
)
def test_what_cannot_be_sent_is_refused_with_the_reason(body: dict[str, object]) -> None:
    """Nothing, both spellings at once, or content no model takes."""
    with pytest.raises(Unprocessable):
        SendRequest.model_validate(body).inputs()
