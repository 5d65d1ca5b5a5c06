"""What clients and models send wrong: refused with a reason or ended as failed, never a 500, a hang or a lost run."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.serving import Client, Server, run_id_in, saying, story
from tests.story_model import StoryModel

UNKNOWN_AGENT = "agent-00000000-0000-4000-8000-000000000000"
UNKNOWN_RUN = "run-00000000-0000-4000-8000-000000000000"
ENDING = ["error_message", "stop_reason", "usage_statistics", "[DONE]"]
SENDS = ("messages", "messages/stream", "messages/async")


@pytest.mark.parametrize("way", SENDS)
def test_requests_that_make_no_run(client: Client, agent: str, way: str) -> None:
    """Empty, malformed or both: 4xx with a detail, and no run is made."""
    path = f"/v1/agents/{agent}/{way}"
    for body in (
        {},
        {"messages": []},
        {"messages": None},
        {"messages": [{}]},
        {"messages": [{"role": "nobody", "content": "x"}]},
        {"messages": [{"role": "user"}]},
        {"messages": "hello"},
        {"messages": [{"role": "user", "content": "a"}], "input": "b"},
        {"messages": [{"role": "user", "content": "a"}], "max_steps": -1},
        {"messages": [{"type": "approval", "approve": True, "approval_request_id": "x"}]},
        {"messages": [{"role": "user", "content": [{"type": "hologram"}]}]},
        [],
        "text",
        7,
    ):
        refused = client.refused("POST", path, body)
        assert refused.status_code in {400, 422}, f"{body}: {refused.text}"
        assert refused.json()["detail"]
    for raw in (b"", b"{", b"\xff\xfe", b'{"messages": "\\ud800"}'):
        answer = client.http.post(path, content=raw, headers={"content-type": "application/json"})
        assert answer.status_code in {400, 422}, f"{raw!r}: {answer.text}"
    assert client.ask("GET", f"/v1/runs/?agent_id={agent}") == []


@pytest.mark.parametrize("way", SENDS)
def test_agents_that_are_not_there(client: Client, way: str) -> None:
    """An unknown agent is 404, a malformed id 4xx; neither makes a run."""
    assert client.refused("POST", f"/v1/agents/{UNKNOWN_AGENT}/{way}", saying("x")).status_code == 404
    for odd in ("nonsense", "agent-1", "run-00000000-0000-4000-8000-000000000000", "%00", "a" * 3000):
        refused = client.refused("POST", f"/v1/agents/{odd}/{way}", saying("x"))
        assert 400 <= refused.status_code < 500, f"{odd}: {refused.text}"


def test_runs_that_are_not_there(client: Client) -> None:
    """404 for an unknown run on every route, also for an id that cannot be one."""
    for run_id in (UNKNOWN_RUN, "nonsense"):
        for method, path in (
            ("GET", ""), ("GET", "/messages"), ("GET", "/steps"), ("GET", "/usage"),
            ("GET", "/metrics"), ("DELETE", ""), ("POST", "/stream"),
        ):  # fmt: skip
            assert client.refused(method, f"/v1/runs/{run_id}{path}").status_code == 404
    for query in ("limit=0", "limit=-1", "limit=x", "order=up", "statuses=weird", "stop_reason=weird"):
        assert client.refused("GET", f"/v1/runs/?{query}").status_code == 422, query
    assert client.refused("GET", f"/v1/runs/?after={UNKNOWN_RUN}").status_code == 404


def test_bodies_over_the_limit(model: StoryModel, folder: Path) -> None:
    """413, whether the length was announced or not; the server goes on."""
    with Server(folder, model.url, RUNSTEAD_BODY_BYTES_MAX="10000") as own, own.client() as client:
        agent = client.agent()
        path = f"/v1/agents/{agent}/messages"
        assert client.refused("POST", path, saying("x" * 20_000)).status_code == 413
        pieces = (b"x" * 1000 for _ in range(20))
        answer = client.http.post(path, content=pieces)
        assert answer.status_code == 413
        assert client.ask("GET", "/v1/runs/") == []
        assert client.ask("POST", path, saying("hello"))["stop_reason"]["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    ("turn", "error_type", "status"),
    [
        ({"status": 400}, "llm_bad_request", 400),
        ({"status": 401}, "llm_authentication", 401),
        ({"status": 402}, "llm_insufficient_credits", 402),
        ({"status": 429}, "llm_rate_limit", 429),
        ({"status": 500}, "llm_error", 500),
        ({"text": [{"garbage": "{not json"}]}, "llm_error", 500),
        ({"text": [{"garbage": "[1, 2]"}]}, "llm_error", 500),
        ({"text": ["half a sen", {"die": True}]}, "llm_error", 500),
        ({"text": []}, "llm_empty_response", 502),
    ],
)
def test_models_that_fail(client: Client, turn: dict[str, object], error_type: str, status: int) -> None:
    """The run fails with what went wrong; the stream ends error, STOP, USE, [DONE]; a blocking request gets the status."""
    agent = client.agent()
    for background in (False, True):
        frames = client.sent(agent, story(turn), stream_tokens=True, background=background)
        assert [frame.type for frame in frames][-4:] == ENDING
        assert frames[-4].name == "error"
        assert frames[-4].json["error_type"] == error_type
        run = client.run(run_id_in(frames))
        assert run["status"] == "failed"
        assert run["stop_reason"] == frames[-3].json["stop_reason"]
        assert run["metadata"]["error"]["error_type"] == error_type
    refused = client.refused("POST", f"/v1/agents/{agent}/messages", saying(story(turn)))
    assert refused.status_code == status
    assert refused.json()["error"]["type"] == error_type
    assert client.sent(agent, story({"text": ["well"]}))[-3].json["stop_reason"] == "end_turn"


def test_what_a_dying_model_said_is_kept(client: Client, agent: str) -> None:
    """A sentence that breaks off stays in the run's messages."""
    frames = client.sent(agent, story({"text": ["half a sen", {"die": True}]}), stream_tokens=True)
    said = client.ask("GET", f"/v1/runs/{run_id_in(frames)}/messages")
    assert said[-1]["content"] == "half a sen"


@pytest.mark.parametrize("silent_after", [0, 2])
def test_models_that_never_answer(model: StoryModel, folder: Path, silent_after: int) -> None:
    """Silence before the first token, or between two, is given up after its time; the upstream connection is closed."""
    settings = {
        "RUNSTEAD_MODEL_RETRIES": "0",
        "RUNSTEAD_MODEL_FIRST_TOKEN_TIMEOUT_S": "0.3",
        "RUNSTEAD_MODEL_IDLE_TIMEOUT_S": "0.3",
    }
    mark = f"never-{silent_after}"
    told = story({"text": [*(["word "] * silent_after), {"silence": True}]}, mark=mark)
    with Server(folder, model.url, **settings) as own, own.client() as client:
        frames = client.sent(client.agent(), told, stream_tokens=True)
        assert [frame.type for frame in frames][-4:] == ENDING
        assert frames[-4].json["error_type"] == "llm_timeout"
        model.wait_until(lambda: model.asked_with(mark)[-1].hung_up_ns is not None)
        refused = client.refused("POST", f"/v1/agents/{client.agent()}/messages", saying(told))
        assert refused.status_code == 504
