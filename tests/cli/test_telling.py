"""What belongs together is put together: pieces of messages, pieces of calls, attempts that were given up."""

from __future__ import annotations

from typing import Any

import pytest

from runstead.cli.received import Event
from runstead.cli.telling import JsonLines, PlainText, Telling, view_for


def told(view: Telling, *bodies: dict[str, Any]) -> None:
    """Tell it all."""
    for seq, body in enumerate(bodies, 1):
        view.event(Event(seq, {"run_id": "run-1", **body}))
    view.close()


def said(id_: str, text: str) -> dict[str, Any]:
    """A piece of an answer."""
    return {"message_type": "assistant_message", "id": id_, "content": text}


def called(id_: str | None, name: str | None, arguments: str | None) -> dict[str, Any]:
    """A piece of a call."""
    given = {"tool_call_id": id_, "name": name, "arguments": arguments}
    return {
        "message_type": "tool_call_message",
        "id": "m",
        "tool_calls": {k: v for k, v in given.items() if v is not None},
    }


def test_pieces_of_messages_and_calls(capsys: pytest.CaptureFixture[str]) -> None:
    """Two calls whose pieces come in turn, each whole; a piece without an id belongs to the newest."""
    returned = {
        "message_type": "tool_return_message",
        "tool_call_id": "b",
        "tool_return": "no",
        "status": "error",
    }
    told(
        PlainText(),
        said("m1", "a"),
        said("m1", "b"),
        said("m2", "c"),
        called("a", "find", ""),
        called("a", None, '{"x"'),
        called("b", "look", "{}"),
        called("a", None, ":1}"),
        called(None, None, " "),
        returned,
        {"message_type": "error_message", "error_type": "llm_error", "message": "gone", "detail": "gone"},
    )
    assert capsys.readouterr().out.splitlines() == [
        "agent> ab",
        "agent> c",
        'calls> find({"x":1}) a',
        "calls> look({} ) b",
        "failed> look: no",
        "error> llm_error: gone",
    ]


def test_brief_is_the_answer_alone(capsys: pytest.CaptureFixture[str]) -> None:
    """What went wrong is for the person."""
    thought = {"message_type": "reasoning_message", "id": "m1", "reasoning": "hm"}
    told(
        PlainText(brief=True),
        thought,
        called("a", "find", "{}"),
        said("m2", "yes"),
        {"message_type": "error_message", "error_type": "x", "message": "y"},
    )
    assert capsys.readouterr() == ("yes\n", "runstead: x: y\n")


def test_an_attempt_that_was_given_up(capsys: pytest.CaptureFixture[str]) -> None:
    """Said between the two; plain pings and empty pieces are not."""
    told(
        PlainText(),
        {"message_type": "ping", "id": "p"},
        said("m1", "lost"),
        {"message_type": "ping", "id": "p2", "superseded_message_ids": ["m1"], "attempt": 2},
        said("m2", ""),
        said("m2", "kept"),
    )
    first, second, third = capsys.readouterr().out.splitlines()
    assert (first, third) == ("agent> lost", "agent> kept")
    assert "attempt 2 begins" in second


def test_other_messages(capsys: pytest.CaptureFixture[str]) -> None:
    """What the user said, what was answered, and that a summary took the place of the past."""
    told(
        PlainText(),
        {"message_type": "user_message", "content": [{"type": "text", "text": "hi\x1b"}]},
        {"message_type": "approval_response_message", "approve": False},
        {"message_type": "summary_message", "summary": "long"},
    )
    assert capsys.readouterr().out.splitlines()[:2] == ["you> hi␛", "denied"]


def test_the_way_for_a_pipe() -> None:
    """Plain text, or JSON where it was asked for."""
    assert isinstance(view_for(as_json=False), PlainText)
    assert isinstance(view_for(as_json=True), JsonLines)
