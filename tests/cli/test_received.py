"""What a client got: parsed, joined, and told when something is missing."""

from __future__ import annotations

import json

from runstead.cli.received import Received, ShownCall, calls_of


def frame(seq: int, **body: object) -> list[str]:
    """The lines of one event."""
    data = {"run_id": "run-1", "message_type": "assistant_message", "id": "message-1", **body}
    return [f"id: {seq}", f"data: {json.dumps(data)}", ""]


def received(*frames: list[str], end: bool = True) -> Received:
    """All of it over one connection."""
    got = Received()
    lines = [line for each in frames for line in each]
    list(got.take([*lines, "data: [DONE]", ""] if end else lines))
    return got


def test_a_whole_run_has_no_faults() -> None:
    """1 to n and the end: nothing is wrong, and the pieces are the answer."""
    got = received(frame(1, content="a "), frame(2, content=[{"type": "text", "text": "b"}]))

    assert got.faults() == []
    assert (got.answer(), got.last_seq, got.run_id) == ("a b", 2, "run-1")


def test_a_gap_and_a_repetition_are_faults() -> None:
    """Both are named by the number that was expected."""
    assert received(frame(1), frame(3)).faults() == ["event 2 was expected, 3 came"]
    assert received(frame(1), frame(1)).faults() == ["event 2 was expected, 1 came"]


def test_a_missing_end_is_a_fault() -> None:
    """A stream that stops is not a run that ended."""
    assert received(frame(1), end=False).faults() == ["the end of the run did not come"]


def test_two_connections_make_one_run() -> None:
    """What came before the loss and after it is joined."""
    got = received(frame(1, content="a "), end=False)
    list(got.take([*frame(2, content="b"), "data: [DONE]", ""]))

    assert (got.faults(), got.answer()) == ([], "a b")


def test_pings_without_a_number_are_no_events() -> None:
    """They keep a connection alive and move nothing."""
    got = received(["data: {}", ""], frame(1, content="a"))

    assert [event.seq for event in got.events] == [1]


def test_what_was_given_up_is_not_part_of_the_answer() -> None:
    """After a crash the new attempt's words count."""
    given_up = {"message_type": "ping", "id": "ping-1", "superseded_message_ids": ["message-1"]}
    got = received(frame(1, content="lost "), frame(2, **given_up), frame(3, id="message-2", content="kept"))

    assert got.answer() == "kept"


def test_errors_are_told() -> None:
    """In the run's own words."""
    assert received(frame(1, message_type="error_message", message="no such model")).errors() == [
        "no such model"
    ]


def test_calls_in_every_spelling() -> None:
    """A list, a piece, the older name, none."""
    call = {"tool_call_id": "a", "name": "find", "arguments": "{}"}
    assert calls_of({"tool_calls": [call]}) == [ShownCall("a", "find", "{}")]
    assert calls_of({"tool_calls": {"arguments": "{"}}) == [ShownCall("", "", "{")]
    assert calls_of({"tool_call": call}) == [ShownCall("a", "find", "{}")]
    assert calls_of({}) == []
