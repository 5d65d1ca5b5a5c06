"""The process may die at any moment or be told to stop: no run is lost, none is failed by it, no event is told twice."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from tests.serving import Client, Frame, Server, run_id_in, saying, story, tokens, until
from tests.story_model import StoryModel

# Whoever waited for the end of a lease would wait longer than any test does.
LEASE_S = 600


@pytest.fixture
def own(model: StoryModel, tmp_path: Path) -> Iterator[Server]:
    """A server of this test's own, to be broken."""
    with Server(tmp_path, model.url, RUNSTEAD_KEEPALIVE_S="0.5", RUNSTEAD_LEASE_S=f"{LEASE_S}") as running:
        yield running


def begin(client: Client, content: str, events: int, **fields: object) -> list[Frame]:
    """Begin a background run with tokens and leave after so many events."""
    agent = client.agent(**fields)
    body = saying(content, stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        return list(islice((frame for frame in frames if frame.seq), events))


def surviving(frames: list[Frame]) -> list[Frame]:
    """The events of the attempts that were not given up."""
    gone: set[str] = set()
    for frame in frames:
        if frame.type == "ping":
            gone |= set(frame.json.get("superseded_message_ids") or ())
    return [f for f in frames if f.type != "[DONE]" and f.json.get("id") not in gone]


def test_a_killed_server_finishes_its_runs_when_it_is_back(own: Server, model: StoryModel, mark: str) -> None:
    """SIGKILL in mid-sentence: finished after the restart, whatever its lease; what was seen stays; each event once."""
    with own.client() as client:
        seen = begin(client, story({"text": [*tokens(20), {"gate": mark}, "end"]}), 15)
        own.kill()
        model.open(mark)
        run_id = run_id_in(seen)
        own.start()
        run = client.wait_status(run_id, "completed", "failed", "cancelled")
        assert (run["status"], run["stop_reason"]) == ("completed", "end_turn")
        everything = client.resumed(run_id)
        assert everything[:15] == seen, "what a reader was given survives the process that gave it"
        assert [f.seq for f in everything[:-1]] == list(range(1, len(everything)))
        text = [f.json["content"] for f in surviving(everything) if f.type == "assistant_message"]
        assert text == [*(f"t{n} " for n in range(20)), "end"]
        kept = client.ask("GET", f"/v1/agents/{run['agent_id']}/messages")
        whole = "".join(text)
        assert [m["content"] for m in kept if m.get("content") == whole] == [whole]


def test_a_committed_step_is_never_made_again(own: Server, model: StoryModel, mark: str) -> None:
    """Killed in the second step: the first one's call and return stand, and its model is not asked again."""
    call = {"name": "conversation_search", "arguments": {"query": "x"}, "id": "call_kept"}
    told = story({"calls": [call]}, {"text": ["so ", {"gate": mark}, "it is"]}, mark=f"{mark}-asked")
    with own.client() as client:
        seen = begin(client, told, 5, tools=["conversation_search"])
        run_id = run_id_in(seen)
        model.wait_until(lambda: len(model.asked_with(f"{mark}-asked")) == 2)
        model.wait_asked(f"{mark}-asked", said=1)
        own.kill()
        model.open(mark)
        own.start()
        client.wait_status(run_id, "completed")
        said = client.ask("GET", f"/v1/runs/{run_id}/messages")
        assert [m["message_type"] for m in said].count("tool_call_message") == 1
        assert [m["message_type"] for m in said].count("tool_return_message") == 1
        first_step = [
            asked
            for asked in model.asked_with(f"{mark}-asked")
            if asked.body["messages"][-1]["role"] == "user"
        ]
        assert len(first_step) == 1
        steps = client.ask("GET", f"/v1/runs/{run_id}/steps?order=asc")
        assert steps[0]["status"] == "success"


def test_runs_in_line_survive_a_kill(own: Server, model: StoryModel, mark: str) -> None:
    """What was admitted and had not begun is done after the restart, in the order in which it came."""
    with own.client() as client:
        agent = client.agent()
        path = f"/v1/agents/{agent}/messages/async"
        texts = [["one", {"gate": mark}], ["two"], ["three"]]
        ids = [client.ask("POST", path, saying(story({"text": text})))["id"] for text in texts]
        until(lambda: client.run(ids[0])["status"] == "running")
        own.kill()
        model.open(mark)
        own.start()
        ended = [client.wait_status(id_, "completed") for id_ in ids]
        assert ended == sorted(ended, key=lambda run: run["completed_at"])


def test_a_stop_lets_runs_end(own: Server, model: StoryModel, mark: str) -> None:
    """SIGTERM drains: what can end within the drain's time does, and its reader sees all of it; exit code 0."""
    with own.client() as client:
        agent = client.agent()
        body = saying(
            story({"text": ["a ", {"gate": mark}, "b"]}, mark=mark),
            stream_tokens=True,
            background=True,
        )
        with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
            seen: list[Frame] = []
            for frame in frames:  # up to its first word: pings of a slow start may come before
                seen.append(frame)
                if frame.type == "assistant_message":
                    break
            own.terminate()
            until(lambda: refuses(client, agent), what="the refusal of new work")
            model.open(mark)
            seen += list(frames)
        assert own.wait_gone() == 0, own.log
    assert [f.type for f in seen][-3:] == ["stop_reason", "usage_statistics", "[DONE]"]
    assert seen[-3].json["stop_reason"] == "end_turn"
    with own.start().client() as client:
        assert client.run(run_id_in(seen))["status"] == "completed"


def test_a_stop_hands_over_what_does_not_end(model: StoryModel, tmp_path: Path, mark: str) -> None:
    """What is not over after the drain's time is handed over, not failed: the next process finishes it."""
    with Server(tmp_path, model.url, RUNSTEAD_DRAIN_S="0.2") as own:
        with own.client() as client:
            seen = begin(client, story({"text": ["a ", {"gate": mark}, "b"]}), 2)
            assert own.stop() == 0, own.log
        model.open(mark)
        own.start()
        with own.client() as client:
            run = client.wait_status(run_id_in(seen), "completed", "failed", "cancelled")
            assert (run["status"], run["stop_reason"]) == ("completed", "end_turn")
            assert client.resumed(run["id"])[:2] == seen


def refuses(client: Client, agent: str) -> bool:
    """Whether the server takes no more work."""
    try:
        return client.http.post(f"/v1/agents/{agent}/messages/async", json=saying("x")).status_code == 503
    except httpx.TransportError:
        return True
