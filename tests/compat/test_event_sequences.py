"""The event sequences (a) to (g) of the API's facts, section 14, in step, token and background mode, compared literally.

Each case is played by a running server over the story model. Ids, dates and run ids get stable names, all else is compared
byte for byte with `snapshots/`; the table below says in the facts' own notation what every snapshot must come to.
`RUNSTEAD_SNAPSHOTS=write` writes the snapshots anew: read the difference before committing it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.serving import Client, saying, story
from tests.sse import Frame, parse
from tests.story_model import StoryModel

SNAPSHOTS = Path(__file__).resolve().parent / "snapshots"
MODES: dict[str, dict[str, bool]] = {
    "step": {"stream_tokens": False},
    "token": {"stream_tokens": True},
    "background": {"stream_tokens": True, "background": True},
}
TOOL = "conversation_search"
RULE = {"type": "requires_approval", "tool_name": TOOL}
# Stories escape what is not ASCII, so the search finds nothing, not even the story itself.
CALL = {"name": TOOL, "arguments": {"query": "é"}}
SO = {"text": ["so ", "be ", "it"]}
STEP_AND_TOKEN = {
    "reply": ("P RSN AST STOP(end_turn) USE D", "P RSN+ AST+ STOP(end_turn) USE D"),
    "tool": ("P TC TR AST STOP(end_turn) USE D", "P TC+ TR AST+ STOP(end_turn) USE D"),
    "approval": ("P AR STOP(requires_approval) USE D", "P AR+ STOP(requires_approval) USE D"),
    "approved": ("P TR AST STOP(end_turn) USE D", "P TR AST+ STOP(end_turn) USE D"),
    "denied": ("P TR AST STOP(end_turn) USE D", "P TR AST+ STOP(end_turn) USE D"),
    "error_first": ("P ERR STOP(llm_api_error) USE D", "P ERR STOP(llm_api_error) USE D"),
    "error_midway": ("P AST ERR STOP(llm_api_error) USE D", "P AST+ ERR STOP(llm_api_error) USE D"),
    "cancelled": ("P TC TR STOP(cancelled) USE D", "P TC+ TR AST STOP(cancelled) USE D"),
    "max_steps": ("P TC TR TC TR STOP(max_steps) USE D", "P TC+ TR TC+ TR STOP(max_steps) USE D"),
}
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
_UUID = re.compile(r"(message-|run-|step-|ping-|)([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{10})([0-9a-f]{2})")
_DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")

pytestmark = pytest.mark.parametrize("mode", list(MODES))


def new_agent(client: Client, **fields: object) -> str:
    """An agent whose prompt is always the same, so that counts of tokens are."""
    return client.agent(system="You are a test.", **fields)


def follow(client: Client, agent: str, body: object) -> str:
    """The whole text of a streamed message."""
    answer = client.http.post(f"/v1/agents/{agent}/messages/stream", json=body)
    assert answer.status_code == 200, answer.text
    return answer.text


def told(client: Client, mode: str, *turns: dict[str, Any], **fields: object) -> str:
    """The whole text of one story to a new agent."""
    body = saying(story(*turns), **MODES[mode], max_steps=2)
    return follow(client, new_agent(client, **fields), body)


def frames_of(text: str) -> list[Frame]:
    """The events in a stream's text."""
    return list(parse(text.splitlines()))


def in_short(text: str, *, folded: bool) -> str:
    """A stream in the facts' notation; folded: pieces of one message that follow each other are one, with a plus."""
    found: list[str] = []
    for frame in frames_of(text):
        name = f"STOP({frame.json['stop_reason']})" if frame.type == "stop_reason" else SHORT[frame.type]
        if folded and found and found[-1].rstrip("+") == name:
            found[-1] = name + "+"
        else:
            found.append(name)
    return " ".join(found)


def stable(text: str) -> str:
    """A stream with names for what differs each time: `message-1`, `run-1`; an own id is its message's name and its part."""
    names: dict[str, str] = {}
    counts: dict[str, int] = {}

    def name(match: re.Match[str]) -> str:
        kind, stem, last = match.groups()
        if stem not in names:
            counts[kind] = counts.get(kind, 0) + 1
            names[stem] = f"{kind or 'own-'}{counts[kind]}"
        # Of an own id only the last seven bits are the part's number.
        return names[stem] if kind else f"{names[stem]}.part-{int(last, 16) & 0x7F}"

    return _DATE.sub("DATE", _UUID.sub(name, text))


def compare(case: str, mode: str, text: str) -> None:
    """Hold a stream against the table, its snapshot, and the laws that every stream keeps."""
    assert in_short(text, folded=mode != "step").replace("+", "") == STEP_AND_TOKEN[case][mode != "step"].replace("+", "")
    assert text.endswith("data: [DONE]\n\n")
    events = frames_of(text)[:-1]
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert all(event.json["seq_id"] == event.seq and event.json["run_id"] for event in events)
    file = SNAPSHOTS / f"{case}.{mode}.txt"
    if os.environ.get("RUNSTEAD_SNAPSHOTS") == "write":
        file.write_text(stable(text))
    assert stable(text) == file.read_text()


def test_a_and_b_reply(client: Client, mode: str) -> None:
    """(a), (b): thoughts and text, whole or in pieces."""
    compare("reply", mode, told(client, mode, {"reasoning": ["let ", "me"], "text": ["one ", "two"]}))


def test_c_tool(client: Client, mode: str) -> None:
    """(c): a call, its return, and the next step's text."""
    compare("tool", mode, told(client, mode, {"calls": [CALL]}, SO, tools=[TOOL]))


@pytest.mark.parametrize("approve", [True, False])
def test_d_approval(client: Client, mode: str, approve: bool) -> None:
    """(d): the request ends the run; the answer, denied in the older form or approved in the newer, makes the next."""
    agent = new_agent(client, tools=[TOOL], tool_rules=[RULE])
    asked = follow(client, agent, saying(story({"calls": [CALL]}, SO), **MODES[mode]))
    compare("approval", mode, asked)
    request = next(f.json for f in frames_of(asked) if f.type == "approval_request_message")
    call_id = request["tool_call"]["tool_call_id"]
    answer = (
        {"type": "approval", "approvals": [{"type": "approval", "tool_call_id": call_id, "approve": True}]}
        if approve
        else {"type": "approval", "approve": False, "approval_request_id": request["id"], "reason": "no"}
    )
    text = follow(client, agent, {"messages": [answer], **MODES[mode]})
    compare("approved" if approve else "denied", mode, text)


def test_e_error_before_any_output(client: Client, mode: str) -> None:
    """(e): 200 and the error in the stream; STOP, USE and the end follow it."""
    compare("error_first", mode, told(client, mode, {"status": 500}))


def test_e_error_in_mid_sentence(client: Client, mode: str) -> None:
    """(e): what was said comes first."""
    compare("error_midway", mode, told(client, mode, {"text": ["half ", "a ", {"die": True}]}))


def test_f_cancelled(client: Client, model: StoryModel, mark: str, mode: str) -> None:
    """(f): in the second step, while the model is silent: what was said, STOP(cancelled), USE, and the end."""
    agent = new_agent(client, tools=[TOOL])
    said = ["half "] if mode != "step" else []
    turns = ({"calls": [CALL]}, {"text": [*said, {"silence": True}]})
    # The guess of an unfinished answer's usage counts characters: the mark must be as long in every run.
    body = saying(story(*turns, mark=f"{mark:_<40}"), **MODES[mode])
    with client.http.stream("POST", f"/v1/agents/{agent}/messages/stream", json=body) as answer:
        pieces = answer.iter_text()
        seen = until_in(pieces, "half " if said else "tool_return_message")
        model.wait_until(lambda: len(model.asked_with(mark)) == 2)
        cancelled = {"run_ids": [answer.headers["x-run-id"]]}
        client.ask("POST", f"/v1/agents/{agent}/messages/cancel", cancelled)
        seen = "".join(chain([seen], pieces))
    compare("cancelled", mode, seen)


def test_g_max_steps(client: Client, mode: str) -> None:
    """(g): two steps and no more."""
    calls = [{**CALL, "arguments": {"query": query}} for query in "éèê"]
    text = told(client, mode, *({"calls": [call]} for call in calls), tools=[TOOL])
    compare("max_steps", mode, text)


def test_re_attaching_says_the_same_bytes(client: Client, mode: str) -> None:
    """A background run's stored stream is, byte for byte, what was streamed; others are refused."""
    text = told(client, mode, {"calls": [CALL]}, SO, tools=[TOOL])
    run_id = frames_of(text)[0].json["run_id"]
    again = client.http.post(f"/v1/runs/{run_id}/stream", json={"starting_after": 0})
    if mode == "background":
        assert (again.status_code, again.text) == (httpx.codes.OK, text)
    else:
        assert again.status_code == httpx.codes.BAD_REQUEST


def until_in(pieces: Iterator[str], wanted: str) -> str:
    """The text up to and including the piece in which something wanted came."""
    seen = ""
    while wanted not in seen:
        seen += next(pieces)
    return seen
