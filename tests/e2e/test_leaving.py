"""A client may leave at any event and come back at any time: it gets every event, each once, and the run never notices."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.serving import Client, Frame, Server, of_the_log, run_id_in, saying, story, text_in, tokens, until
from tests.story_model import StoryModel

RUNS = 10
DROPS_PER_RUN = 20
TOKENS = 300
NOT_BACKGROUND = "Run was not created in background mode, so it cannot be retrieved."


def begin(client: Client, content: str, events: int = 1) -> list[Frame]:
    """Begin a background run with tokens and leave after so many events of its log."""
    agent = client.agent()
    body = saying(content, stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        return list(islice(logged(frames), events))


def logged(frames: Iterator[Frame]) -> Iterator[Frame]:
    """The events as they come, without the pings that fill silence: a slow machine has more of these."""
    return (frame for frame in frames if frame.seq or frame.done)


def numbers(frames: list[Frame]) -> list[int]:
    """The numbers of the events that have one."""
    return [frame.seq for frame in frames if frame.seq]


@pytest.mark.slow
def test_who_drops_200_times_gets_every_event_once(client: Client) -> None:
    """Ten runs, twenty drops each, at random events: 1, 2, 3, … without a gap or a double, and the whole text."""
    places = random.Random(20)
    drops = 0
    for _ in range(RUNS):
        seen = begin(client, story({"text": tokens(TOKENS, 1)}), places.randint(1, 12))
        drops += 1
        run_id = run_id_in(seen)
        while drops % DROPS_PER_RUN:
            body = {"starting_after": seen[-1].seq, "include_pings": True}
            with client.stream(f"/v1/runs/{run_id}/stream", body) as frames:
                got = list(islice(frames, places.randint(1, 12)))
            drops += 1
            seen += [frame for frame in got if frame.seq]
        last = seen[-1].seq
        seen += client.resumed(run_id, last)
        assert numbers(seen) == list(range(1, TOKENS + 4))  # the ping, the tokens, STOP, USE
        assert text_in(seen) == "".join(f"t{n} " for n in range(TOKENS))
        assert seen[-1].type == "[DONE]"
    assert drops == RUNS * DROPS_PER_RUN


def test_a_run_goes_on_without_a_reader(client: Client, model: StoryModel, mark: str) -> None:
    """Leaving a stream, in whatever mode, never cancels: the run ends as if it had been watched."""
    for background in (False, True):
        gate = f"{mark}-{background}"
        agent = client.agent()
        body = saying(
            story({"text": ["one ", {"gate": gate}, "two"]}),
            stream_tokens=True,
            background=background,
        )
        with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
            run_id = run_id_in(islice(frames, 2))
        model.open(gate)
        assert client.wait_status(run_id, "completed", "failed", "cancelled")["status"] == "completed"
        said = client.ask("GET", f"/v1/runs/{run_id}/messages")
        assert [m["content"] for m in said if m["message_type"] == "assistant_message"] == ["one two"]


def test_readers_at_different_places_see_the_same(client: Client, model: StoryModel, mark: str) -> None:
    """Two who attach in mid-run, at different numbers, get the same events with the same bytes where they overlap."""
    seen = begin(client, story({"text": [*tokens(10), {"gate": mark}, *tokens(5)]}), 11)
    run_id = run_id_in(seen)
    with (
        client.stream(f"/v1/runs/{run_id}/stream", {"starting_after": 3}) as early,
        client.stream(f"/v1/runs/{run_id}/stream", {"starting_after": 8}) as late,
    ):
        first, second = list(islice(logged(early), 8)), list(islice(logged(late), 3))
        assert client.run(run_id)["status"] == "running"
        model.open(mark)
        first += [frame for frame in early if frame.seq]
        second += [frame for frame in late if frame.seq]
    assert numbers(first) == list(range(4, 19))
    assert first[5:] == second
    assert client.resumed(run_id)[:11] == seen


def test_reading_after_the_end_ends(client: Client) -> None:
    """At the last event, and past it, the answer is `[DONE]` alone; before it, what follows; `{}` and no body mean all."""
    seen = begin(client, story({"text": tokens(5)}), 100)
    run_id, last = run_id_in(seen), seen[-2].seq
    assert last == 8
    assert [f.type for f in client.resumed(run_id, last)] == ["[DONE]"]
    assert [f.type for f in client.resumed(run_id, last + 1000)] == ["[DONE]"]
    assert client.resumed(run_id, 4) == seen[4:]
    for body in ({}, None):
        with client.stream(f"/v1/runs/{run_id}/stream", body) as frames:
            assert of_the_log(frames) == seen


def test_last_event_id_is_a_cursor(client: Client) -> None:
    """`Last-Event-ID`, which every SSE client sends by itself, means what `starting_after` means."""
    seen = begin(client, story({"text": tokens(5)}), 100)
    path = f"/v1/runs/{run_id_in(seen)}/stream"
    with client.stream(path, None, **{"Last-Event-ID": "3"}) as frames:
        assert of_the_log(frames) == seen[3:]
    assert client.refused("POST", path, None, headers={"Last-Event-ID": "x"}).status_code == 400


def test_only_background_runs_can_be_re_attached(client: Client) -> None:
    """A foreground run is answered 400 in the words that clients know; an unknown one 404."""
    agent = client.agent()
    frames = client.sent(agent, story({"text": tokens(2)}))
    refused = client.refused("POST", f"/v1/runs/{run_id_in(frames)}/stream", {})
    assert (refused.status_code, refused.json()["detail"]) == (400, NOT_BACKGROUND)
    unknown = "run-00000000-0000-4000-8000-000000000000"
    assert client.refused("POST", f"/v1/runs/{unknown}/stream", {}).status_code == 404
    assert client.refused("POST", "/v1/runs/nonsense/stream", {}).status_code in {400, 404, 422}


def test_re_attaching_never_starts_work(client: Client, model: StoryModel, mark: str) -> None:
    """However often a run is read, its model is asked once."""
    seen = begin(client, story({"text": tokens(3)}, mark=mark), 100)
    for _ in range(5):
        assert client.resumed(run_id_in(seen)) == seen
    assert len(model.asked_with(mark)) == 1


def test_events_past_their_retention_are_gone(model: StoryModel, tmp_path: Path) -> None:
    """After its retention a run's stream is 410; its messages stay."""
    settings = {"RUNSTEAD_EVENTS_KEEP_S": "0.2", "RUNSTEAD_SWEEP_S": "0.1"}
    with Server(tmp_path, model.url, **settings) as server, server.client() as client:
        run_id = run_id_in(begin(client, story({"text": tokens(3)}), 2))
        client.wait_status(run_id, "completed")
        path = f"/v1/runs/{run_id}/stream"
        until(lambda: client.http.post(path, json={}).status_code == 410, what="the sweep")
        assert "expired" in client.refused("POST", path, {}).json()["detail"]
        said = client.ask("GET", f"/v1/runs/{run_id}/messages")
        assert said[-1]["content"] == "t0 t1 t2 "
