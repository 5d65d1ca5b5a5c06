"""What a run says, event by event, in every case and mode: against the order of the API, and literally, to the byte.

`SAYS` is the order that the facts of the API give (their section 14, cases a to g, with our rulings: every event is
numbered, an error stands before its stop, every stream ends STOP, USE, [DONE]). The whole text of each stream is in
`snapshots/`, with ids, dates and run ids given stable names; `RUNSTEAD_SNAPSHOTS=write` writes them anew, to be read
before they are kept.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Client, Frame, Json, run_id_in, saying, story
from tests.story_model import StoryModel

HERE = Path(__file__).resolve().parent / "snapshots"
WRITE = os.environ.get("RUNSTEAD_SNAPSHOTS") == "write"
MODES: dict[str, Json] = {
    "step": {},
    "token": {"stream_tokens": True},
    "background": {"stream_tokens": True, "background": True},
}
CALL: Json = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_1"}
APPROVAL: Json = {
    "tools": ["conversation_search"],
    "tool_rules": [{"type": "requires_approval", "tool_name": "conversation_search"}],
}
TOOLS: Json = {"tools": ["conversation_search"]}
SHORT = {
    "ping": "P",
    "reasoning_message": "RSN",
    "assistant_message": "AST",
    "tool_call_message": "TC",
    "tool_return_message": "TR",
    "approval_request_message": "AR",
    "error_message": "ERR",
    "usage_statistics": "USE",
    "[DONE]": "D",
}
# Per case: in step mode, and where tokens are streamed.
SAYS = {
    "a-reply": ("P AST STOP(end_turn) USE D", "P AST AST STOP(end_turn) USE D"),
    "a-thought": (
        "P RSN AST STOP(end_turn) USE D",
        "P RSN RSN AST AST STOP(end_turn) USE D",
    ),
    "c-tool": (
        "P TC TR AST STOP(end_turn) USE D",
        "P TC TC TC TR AST AST STOP(end_turn) USE D",
    ),
    "d-approval": (
        "P AR STOP(requires_approval) USE D",
        "P AR AR AR STOP(requires_approval) USE D",
    ),
    "d-approved": ("P TR AST STOP(end_turn) USE D", "P TR AST AST STOP(end_turn) USE D"),
    "d-denied": ("P TR AST STOP(end_turn) USE D", "P TR AST AST STOP(end_turn) USE D"),
    "d-denied-older-form": ("P TR AST STOP(end_turn) USE D", "P TR AST AST STOP(end_turn) USE D"),
    "e-error-at-once": (
        "P ERR STOP(llm_api_error) USE D",
        "P ERR STOP(llm_api_error) USE D",
    ),
    "e-error-mid-stream": (
        "P AST ERR STOP(llm_api_error) USE D",
        "P AST AST ERR STOP(llm_api_error) USE D",
    ),
    "f-cancelled": ("P AST STOP(cancelled) USE D", "P AST AST STOP(cancelled) USE D"),
    "g-max-steps": (
        "P TC TR TC TR STOP(max_steps) USE D",
        "P TC TC TC TR TC TC TC TR STOP(max_steps) USE D",
    ),
}
TOLD: dict[str, tuple[Json, ...]] = {
    "a-reply": ({"text": ["hello ", "world"]},),
    "a-thought": ({"reasoning": ["let me ", "think"], "text": ["hello ", "world"]},),
    "c-tool": ({"calls": [CALL]}, {"text": ["found ", "nothing"]}),
    "e-error-at-once": ({"status": 500},),
    "e-error-mid-stream": ({"text": ["half ", "a sen", {"die": True}]},),
    "g-max-steps": ({"calls": [CALL]}, {"calls": [{**CALL, "id": "call_2"}]}),
}
_UUID = re.compile(
    r"(message-|run-|step-|ping-|agent-)?"
    r"([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{10})([0-9a-f]{2})"
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\.\d+)?(\+00:00|Z| UTC)?")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", TOLD)
def test_what_a_run_says(client: Client, case: str, mode: str) -> None:
    """A reply, a thought, a tool, errors, the last step: each in its order, literally."""
    agent = an_agent(client, **TOOLS)
    limit = {"max_steps": 2} if case == "g-max-steps" else {}
    compare(case, mode, client.sent(agent, story(*TOLD[case]), **MODES[mode], **limit))


@pytest.mark.parametrize("mode", MODES)
def test_what_an_approval_says(client: Client, mode: str) -> None:
    """The request, and what follows each answer; the older form of a denial says what the newer one does."""
    for case in ("d-approved", "d-denied", "d-denied-older-form"):
        agent = an_agent(client, **APPROVAL)
        told = story({"calls": [CALL]}, {"text": ["so ", "be it"]})
        asked = client.sent(agent, told, **MODES[mode])
        compare("d-approval", mode, asked)
        request = next(frame.json for frame in asked if frame.type == "approval_request_message")
        answer: Json = {"type": "approval", "approve": False, "reason": "not now"}
        if case == "d-denied-older-form":
            answer["approval_request_id"] = request["id"]
        else:
            decision: Json = {**answer, "approve": case == "d-approved", "tool_call_id": "call_1"}
            answer = {"type": "approval", "approvals": [decision]}
        body: Json = {"messages": [answer], **MODES[mode]}
        with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
            compare(case, mode, list(frames))


@pytest.mark.parametrize("mode", MODES)
def test_what_a_cancelled_run_says(client: Client, model: StoryModel, mode: str, mark: str) -> None:
    """What was said until then, and the end that every stream has."""
    agent = an_agent(client)
    told = story({"text": ["half ", "a sen", {"silence": True}]}, mark=mark)
    body = saying(told, **MODES[mode])
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        seen = first(frames, 1 if mode == "step" else 3)
        model.wait_asked(mark, said=2)
        cancel: Json = {"run_ids": [run_id_in(seen)]}
        client.ask("POST", f"/v1/agents/{agent}/messages/cancel", cancel)
        compare("f-cancelled", mode, [*seen, *frames])


def first(frames: Iterator[Frame], count: int) -> list[Frame]:
    """The first events of a stream, without the pings that fill silence."""
    return list(islice((frame for frame in frames if frame.seq), count))


def an_agent(client: Client, **fields: object) -> str:
    """An agent whose prompt, and with it every guess of its length, is always the same."""
    return client.agent(system="You are tested.", **fields)


def compare(case: str, mode: str, frames: list[Frame]) -> None:
    """Hold a stream against the order of the API and against its snapshot."""
    frames = [frame for frame in frames if frame.type != "ping" or frame.seq]
    assert " ".join(short(frame) for frame in frames) == SAYS[case][mode != "step"]
    numbered = frames[:-1]
    assert [frame.seq for frame in numbered] == list(range(1, len(frames)))
    assert [frame.json["seq_id"] for frame in numbered] == [frame.seq for frame in numbered]
    assert {frame.json["run_id"] for frame in numbered} == {run_id_in(frames)}
    assert [f.name for f in frames if f.name != "message"] == ["error"] * ("e-" in case[:2])
    literal = "".join(f"{frame.seq} {frame.name} {frame.data}\n" for frame in frames)
    snapshot = HERE / f"{case}-{mode}.txt"
    if WRITE:
        HERE.mkdir(exist_ok=True)
        snapshot.write_text(named(literal))
    assert named(literal) == snapshot.read_text(), f"see {snapshot}"


def short(frame: Frame) -> str:
    """An event in the words of the facts."""
    if frame.type == "stop_reason":
        return f"STOP({frame.json['stop_reason']})"
    return SHORT[frame.type]


def named(text: str) -> str:
    """The text with each id by the order of its first appearance, an otid as `<message>.<part>`, and no dates."""
    known: dict[str, int] = {}

    def name(match: re.Match[str]) -> Any:
        prefix, stem, last = match[1], match[2], match[3]
        number = known.setdefault(stem, len(known) + 1)
        return f"{prefix}{number}" if prefix else f"{number}.{int(last, 16) & 0x7F}"

    return _DATE.sub("DATE", _UUID.sub(name, text))
