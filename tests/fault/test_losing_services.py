"""Two processes lose Redis, or PostgreSQL, as a client sees it: what is in flight is finished, the rest is told what to do.

A service that stalls is stalled until every effect of it was seen, not for a fixed time: Redis is given up after 2 s of
silence, PostgreSQL after 10 s, and what holds then holds for any longer time.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.cluster import Cluster, Watcher, begin, said, whole
from tests.e2e.conftest import mark, model
from tests.services import PostgresServer, RedisServer
from tests.serving import Client, Server, saying, story, tokens, until
from tests.story_model import StoryModel

__all__ = ["mark", "model"]

# Processes that start beside other tests may take their time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOKENS = 10
TEXT = "".join(f"t{n} " for n in range(TOKENS))
# Longer than the longest time after which a service that does not answer is given up.
SEEN_S = 40.0


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis of this test's own, not started."""
    server = RedisServer()
    yield server
    server.__exit__(None, None, None)


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of this test's own."""
    with PostgresServer() as server:
        yield server


def pair(folder: Path, model: StoryModel, postgres: PostgresServer, redis: RedisServer) -> Cluster:
    """Two processes, running."""
    made = Cluster(folder, model.url, postgres, redis)
    for name in "ab":
        made.add(name)
    made.start()
    return made


def refusal(server: Server, path: str, body: object = None, timeout_s: float = SEEN_S) -> httpx.Response:
    """What a request is answered that cannot be carried out: 503, and when to come again."""
    with httpx.Client(base_url=server.url, timeout=timeout_s) as http:
        answer = http.request("GET" if body is None else "POST", path, json=body)
    assert answer.status_code == 503, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    return answer


def takes(client: Client, agent: str) -> bool:
    """Whether a background run is admitted."""
    body = saying(story({"text": ["x"]}), background=True)
    with client.http.stream("POST", f"/v1/agents/{agent}/messages/stream", json=body) as answer:
        answer.read()
        return answer.is_success


def in_background(agent: str, *texts: str) -> tuple[str, object]:
    """The path and body of a background message."""
    return f"/v1/agents/{agent}/messages/stream", saying(story({"text": list(texts)}), background=True)


def answered(client: Client, agent: str, text: str) -> None:
    """A blocking request is."""
    answer = client.ask("POST", f"/v1/agents/{agent}/messages", saying(story({"text": [text]})))
    assert answer["messages"][-1]["content"] == text


def test_redis_that_was_never_there(
    tmp_path: Path, model: StoryModel, postgres_server: PostgresServer, redis: RedisServer
) -> None:
    """Processes start and answer who waits; background runs are refused by name until it comes, without a restart."""
    with pair(tmp_path, model, postgres_server, redis) as cluster:
        first, second = cluster.members
        with first.client() as client, second.client() as other:
            agent = client.agent()
            answered(client, agent, "without")
            for server in (first, second):
                for path in (f"/v1/agents/{agent}/messages/stream", f"/v1/agents/{agent}/messages/async"):
                    told = refusal(server, path, saying("x", background=True))
                    assert f"Redis at 127.0.0.1:{redis.port} cannot be reached" in told.json()["detail"]

            redis.start()
            for each in (client, other):
                until(lambda each=each: takes(each, agent), what="a background run")
            answered(other, agent, "with")


def test_redis_killed_and_back_empty_in_mid_run(
    tmp_path: Path, model: StoryModel, postgres_server: PostgresServer, redis: RedisServer, mark: str
) -> None:
    """The run ends, its readers see all of it once; meanwhile who waits is answered, the rest is refused."""
    redis.start()
    with pair(tmp_path, model, postgres_server, redis) as cluster:
        first, second = cluster.members
        with first.client() as client:
            agent, busy = client.agent(), client.agent()
            acts = [*tokens(TOKENS), {"gate": mark}, "so ", {"gate": f"{mark}-back"}, "end"]
            run_id = begin(client, story({"text": acts}, mark=mark), agent=busy)
            watchers = [Watcher(member, run_id) for member in cluster.members]
            for watcher in watchers:
                watcher.saw(TOKENS)
            redis.kill()
            model.open(mark)
            for watcher in watchers:
                until(
                    lambda watcher=watcher: text_of(watcher).endswith("so "),
                    what="what was said without Redis",
                )
            for member in cluster.members:
                until(lambda member=member: not takes_at(member, agent), what="the loss being noticed")
                told = refusal(member, *in_background(agent, "x"))
                assert f"127.0.0.1:{redis.port}" in told.json()["detail"]
            answered(client, agent, "meanwhile")

            redis.start()
            until(lambda: takes(client, agent), what="a background run")
            model.open(f"{mark}-back")
            for watcher in watchers:
                assert said(whole(watcher.all())) == TEXT + "so end"
            assert client.run(run_id)["status"] == "completed"
            with second.client() as other:
                assert whole(other.resumed(run_id)) == whole(watchers[0].frames)


def test_redis_that_stalls_in_mid_run(
    tmp_path: Path, model: StoryModel, postgres_server: PostgresServer, redis: RedisServer, mark: str
) -> None:
    """It takes connections and answers nothing: given up after two seconds; nothing waits for it longer than that."""
    redis.start()
    with pair(tmp_path, model, postgres_server, redis) as cluster:
        first, second = cluster.members
        with first.client() as client:
            agent, busy = client.agent(), client.agent()
            run_id = begin(
                client, story({"text": [*tokens(TOKENS), {"gate": mark}, "end"]}, mark=mark), agent=busy
            )
            watchers = [Watcher(member, run_id) for member in cluster.members]
            for watcher in watchers:
                watcher.saw(TOKENS)
            redis.stall()
            try:
                answered(client, agent, "meanwhile")
                model.open(mark)
                for watcher in watchers:
                    assert said(whole(watcher.all())) == TEXT + "end"
                for member in cluster.members:
                    until(lambda member=member: not takes_at(member, agent), SEEN_S, "the refusal")
                answered(client, agent, "still")
            finally:
                redis.resume()
            with second.client() as other:
                for each in (client, other):
                    until(lambda each=each: takes(each, agent), SEEN_S, "a background run")


def test_a_cancel_without_redis(
    tmp_path: Path, model: StoryModel, postgres_server: PostgresServer, redis: RedisServer, mark: str
) -> None:
    """Sent to the process that does not own the run: the owner reads of it when it renews its lease."""
    redis.start()
    with pair(tmp_path, model, postgres_server, redis) as cluster:
        with cluster.members[0].client() as client:
            agent, idle = client.agent(), client.agent()
            run_id = begin(client, story({"text": ["a", {"silence": True}]}, mark=mark), agent=agent)
        asked = model.wait_asked(mark, said=1)
        redis.kill()
        (elsewhere,) = cluster.others(cluster.owner(run_id))
        until(lambda: not takes_at(elsewhere, idle), what="the loss being noticed")
        with elsewhere.client() as client:
            path = f"/v1/agents/{agent}/messages/cancel"
            assert client.ask("POST", path, {"run_ids": [run_id]}) == {run_id: "cancelled"}
            model.wait_until(lambda: asked.hung_up_ns is not None)
            assert client.run(run_id)["status"] == "cancelled"


@pytest.mark.parametrize("how", ["kill", "stall"])
def test_postgres_lost_in_mid_run(
    how: str,
    tmp_path: Path,
    model: StoryModel,
    postgres: PostgresServer,
    redis_server: RedisServer,
    mark: str,
) -> None:
    """Requests are told to come again, streams stay open; when it is back the run ends whole, without a restart."""
    with pair(tmp_path, model, postgres, redis_server) as cluster:
        first, second = cluster.members
        with first.client() as client:
            agent = client.agent()
            before = client.ask(
                "POST", f"/v1/agents/{agent}/messages/async", saying(story({"text": ["kept"]}))
            )
            client.wait_status(before["id"], "completed")
            acts = [*tokens(TOKENS), {"gate": mark}, *tokens(TOKENS), {"gate": f"{mark}-back"}, "end"]
            run_id = begin(client, story({"text": acts}, mark=mark))
            watchers = [Watcher(member, run_id) for member in cluster.members]
            for watcher in watchers:
                watcher.saw(TOKENS)
            postgres.kill() if how == "kill" else postgres.stall()
            model.open(mark)
            for member in cluster.members:
                refusal(member, f"/v1/runs/{run_id}")
                refusal(member, *in_background(agent, "x"))
            quiet = [len(watcher.frames) for watcher in watchers]
            for watcher, seen in zip(watchers, quiet, strict=True):
                until(lambda watcher=watcher, seen=seen: len(watcher.frames) > seen, SEEN_S, "a ping")
                assert not watcher.over
            postgres.start() if how == "kill" else postgres.resume()

            until(lambda: client.http.get(f"/v1/runs/{run_id}").is_success, SEEN_S, "the store's answer")
            model.open(f"{mark}-back")
            client.wait_status(run_id, "completed", deadline_s=SEEN_S)
            for watcher in watchers:
                assert said(whole(watcher.all())) == TEXT * 2 + "end"
            assert client.run(before["id"])["status"] == "completed"
            with second.client() as other:
                assert whole(other.resumed(run_id)) == whole(watchers[0].frames)
                answered(other, agent, "after")


def takes_at(server: Server, agent: str) -> bool:
    """Whether a process admits background runs."""
    with server.client() as client:
        return takes(client, agent)


def text_of(watcher: Watcher) -> str:
    """What a reader has been told so far."""
    return said([frame.json for frame in watcher.numbered if not frame.done])
