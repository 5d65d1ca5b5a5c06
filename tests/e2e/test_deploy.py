"""A deploy under load: every process is stopped and started again in turn, and no client of any mode loses anything.

Clients do what the published ones do: two more tries after a refusal or a broken connection, when `Retry-After` says so; a
stream that ends without `[DONE]` is attached again. Each message has a key, so that a second try is the same message.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.cluster import Cluster, Watcher, begin, said, whole
from tests.proxy import ReadyProxy
from tests.services import PostgresServer, RedisServer
from tests.serving import WAIT_S, Client, Json, Server, saying, story, tokens, until
from tests.sse import Frame, parse
from tests.story_model import StoryModel

# Processes that start beside other tests may take their time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

RETRIES = 2
RETRY_S = 0.5
RETRIED = {408, 409, 429, 500, 502, 503, 504}
TOKENS = 10
TEXT = "".join(f"t{n} " for n in range(TOKENS))
# One in so many messages takes longer than a process that stops waits for it.
LONG_EVERY = 4
CLIENTS_PER_MODE = 2
# Time enough to look at a process that drains.
LOOKED_AT_S = 6.0


@pytest.fixture
def cluster(
    tmp_path: Path, model: StoryModel, postgres_server: PostgresServer, redis_server: RedisServer
) -> Iterator[Cluster]:
    """Three processes, not started. They drain for a second; where that is looked at, it must be longer."""
    with Cluster(tmp_path, model.url, postgres_server, redis_server) as made:
        for name in "abc":
            made.add(name, RUNSTEAD_DRAIN_S="1")
        yield made
    assert "Traceback" not in made.log, made.log


@dataclass(slots=True)
class Load:
    """One client of the service: it sends a message to its agent, waits for its end, and sends the next."""

    url: str
    agent: str
    mark: str
    stop: threading.Event
    sent: int = 0
    retried: int = 0
    answers: list[str] = field(default_factory=list[str])

    def go_on(self, mode: Callable[[Load, Json, str], str]) -> None:
        """Send and read until told to stop."""
        while not self.stop.is_set():
            key = f"{self.mark}-{self.sent}-"
            pause_ms = 300 if self.sent % LONG_EVERY == 0 else 10
            body = saying(story({"text": tokens(TOKENS, pause_ms)}, mark=key))
            self.sent += 1
            self.answers.append(mode(self, body, key))

    def ask(self, method: str, path: str, body: Json | None = None, key: str = "") -> Json:
        """The answer, after as many tries as the published clients make."""
        return self.tried(lambda http: _json(http.request(method, path, json=body, headers=_keyed(key))))

    def tried(self, send: Callable[[httpx.Client], Any]) -> Any:
        """What `send` gives, after as many tries as the published clients make."""
        for left in range(RETRIES, -1, -1):
            with httpx.Client(base_url=self.url, timeout=60) as http:
                try:
                    return send(http)
                except httpx.HTTPStatusError as error:
                    assert left, f"refused thrice: {error.response.status_code} {error.response.text}"
                    assert error.response.status_code in RETRIED, error.response.text
                    pause_s = float(error.response.headers.get("retry-after", RETRY_S))
                except httpx.TransportError as error:
                    assert left, f"broken thrice: {error!r}"
                    pause_s = RETRY_S
            self.retried += 1
            threading.Event().wait(pause_s)  # the client was told when to come again
        raise AssertionError("unreachable")


def blocking(load: Load, body: Json, key: str) -> str:
    """Wait for the answer."""
    answer = load.ask("POST", f"/v1/agents/{load.agent}/messages", body, key)
    assert answer["stop_reason"]["stop_reason"] == "end_turn", answer
    return "".join(m["content"] for m in answer["messages"] if m["message_type"] == "assistant_message")


def foreground(load: Load, body: Json, key: str) -> str:
    """Follow the request's own stream; one that was ended by a stop is asked for again, by its key."""
    for _ in range(1 + RETRIES):
        frames = streamed(
            load, f"/v1/agents/{load.agent}/messages/stream", {**body, "stream_tokens": True}, key
        )
        if frames[-1].done:
            return said(whole(frames))
        load.retried += 1
    raise AssertionError("its stream was ended thrice")


def background(load: Load, body: Json, key: str) -> str:
    """Leave after a few events and attach again, as often as the stream is ended by a stop."""
    asked = {**body, "stream_tokens": True, "background": True}
    frames = streamed(load, f"/v1/agents/{load.agent}/messages/stream", asked, key, leave_after=3)
    run_id = frames[0].json["run_id"]
    while not frames[-1].done:
        cursor = {"starting_after": max(frame.seq for frame in frames), "include_pings": True}
        frames += streamed(load, f"/v1/runs/{run_id}/stream", cursor)
    return said(whole(frames))


def polling(load: Load, body: Json, key: str) -> str:
    """Ask for the run until it is over, then for its events."""
    run_id = load.ask("POST", f"/v1/agents/{load.agent}/messages/async", body, key)["id"]
    while (status := load.ask("GET", f"/v1/runs/{run_id}")["status"]) in {"created", "running"}:
        threading.Event().wait(0.05)  # the client polls
    assert status == "completed"
    return said(whole(streamed(load, f"/v1/runs/{run_id}/stream", {"include_pings": True})))


def streamed(load: Load, path: str, body: Json, key: str = "", leave_after: int | None = None) -> list[Frame]:
    """The events of a stream up to its end, or up to where the client leaves or the connection breaks."""

    def follow(http: httpx.Client) -> list[Frame]:
        found: list[Frame] = []
        with http.stream("POST", path, json=body, headers=_keyed(key)) as answer:
            if not answer.is_success:
                answer.read()
            answer.raise_for_status()
            for frame in parse(answer.iter_lines()):
                found.append(frame)
                if len(found) == leave_after:
                    break
        return found

    return load.tried(follow)


def _json(answer: httpx.Response) -> Json:
    return answer.raise_for_status().json()


def _keyed(key: str) -> dict[str, str]:
    return {"idempotency-key": key} if key else {}


def everybody_sends(loads: Sequence[Load]) -> None:
    """Wait until each client has got on since now."""
    before = [load.sent for load in loads]
    until(lambda: all(load.sent > had for load, had in zip(loads, before, strict=True)), what="the load")


def test_a_deploy_under_load_loses_nothing(cluster: Cluster, model: StoryModel, mark: str) -> None:
    """Every request of every mode succeeds, each message is one run that is answered once, every process ends with 0."""
    cluster.start()
    stop = threading.Event()
    modes = [blocking, foreground, background, polling] * CLIENTS_PER_MODE
    with (
        ReadyProxy([member.port for member in cluster.members]) as proxy,
        cluster.members[0].client() as client,
        ThreadPoolExecutor(len(modes)) as pool,
    ):
        loads = [Load(proxy.url, client.agent(), f"{mark}-{n}", stop) for n in range(len(modes))]
        work = [pool.submit(load.go_on, mode) for load, mode in zip(loads, modes, strict=True)]
        try:
            for member in cluster.members:
                everybody_sends(loads)
                assert member.stop() == 0, member.log
                member.start()
        finally:
            stop.set()
        for done in work:
            done.result(WAIT_S)

        print(
            f"{sum(load.sent for load in loads)} messages, {sum(load.retried for load in loads)} further tries"
        )
        for load in loads:
            assert load.answers == [TEXT] * load.sent
            runs = client.ask("GET", f"/v1/runs/?agent_id={load.agent}&limit=1000")
            assert len(runs) == load.sent, "each message is one run"
            assert {run["status"] for run in runs} == {"completed"}
            kept = client.ask("GET", f"/v1/agents/{load.agent}/messages?limit=1000")
            # An attempt that was given up may have said all of it: it is kept with a step that failed.
            whole_answers = [m for m in kept if m.get("content") == TEXT and not _given_up(client, m)]
            assert len(whole_answers) == load.sent, "each message is answered once"


def test_a_process_that_stops_says_so(cluster: Cluster, model: StoryModel, mark: str) -> None:
    """Not ready, no new work, readers told to come back: `retry:` and the end of the response; another process goes on."""
    staying, *_ = cluster.members
    leaving = cluster.add("leaving", RUNSTEAD_DRAIN_S=f"{LOOKED_AT_S}")
    leaving.start()
    with leaving.client() as client:
        agent = client.agent()
        told = story({"text": [*tokens(TOKENS), {"gate": mark}, "end"]}, mark=mark)
        run_id = begin(client, told, agent=agent)
        with httpx.stream(
            "POST", f"{leaving.url}/v1/runs/{run_id}/stream", json={"starting_after": 0}, timeout=60
        ) as answer:
            lines = answer.iter_lines()
            seen = [next(lines)]
            model.wait_asked(mark, said=TOKENS)
            leaving.terminate()
            until(lambda: _status(leaving, "/v1/ready/") == 503, what="readiness being taken back")
            assert _status(leaving, "/v1/health/") == 200
            refused = client.refused("POST", f"/v1/agents/{agent}/messages", saying("x"))
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            seen += list(lines)
        assert leaving.wait_gone() == 0, leaving.log
    assert [line for line in seen if line][-1] == "retry: 1000", seen[-3:]
    assert not any("[DONE]" in line for line in seen)
    last = max(int(line.removeprefix("id: ")) for line in seen if line.startswith("id: "))

    staying.start()
    watcher = Watcher(staying, run_id, after=last)
    model.wait_until(lambda: len(model.asked_with(mark)) >= 2)
    model.open(mark)
    assert watcher.all()[-1].done
    assert watcher.numbered[0].seq == last + 1
    with staying.client() as client:
        assert said(whole(client.resumed(run_id))) == TEXT + "end"


def _status(server: Server, path: str) -> int:
    return httpx.get(server.url + path).status_code


def _given_up(client: Client, message: Json) -> bool:
    """Whether a message was said by an attempt that another one followed."""
    step = client.ask("GET", f"/v1/steps/{message['step_id']}")
    return step["status"] == "failed" and step["error_type"] == "abandoned"
