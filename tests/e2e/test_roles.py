"""Processes that only serve and processes that only work: together they are one server, and a run waits for its worker."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.cluster import Cluster, Watcher, begin, said, whole
from tests.services import PostgresServer, RedisServer
from tests.serving import START_S, STOP_S, saying, story, tokens, until
from tests.story_model import StoryModel

# Processes that start beside other tests may take their time.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOKENS = 10
TEXT = "".join(f"t{n} " for n in range(TOKENS))


@pytest.fixture
def cluster(
    tmp_path: Path, model: StoryModel, postgres_server: PostgresServer, redis_server: RedisServer
) -> Iterator[Cluster]:
    """One process that serves, and two that can work, of which the first runs."""
    with Cluster(tmp_path, model.url, postgres_server, redis_server) as made:
        made.add("api", RUNSTEAD_ROLE="api").start()
        made.add("worker", RUNSTEAD_ROLE="worker").start()
        made.add("later", RUNSTEAD_ROLE="worker")
        yield made
    assert "Traceback" not in made.log, made.log


def test_one_serves_one_works(cluster: Cluster, model: StoryModel, mark: str) -> None:
    """Every mode is admitted and told by the one and executed by the other; who works tells how it is, and nothing else."""
    api, worker, _ = cluster.members
    with api.client() as client:
        agent = client.agent()
        answer = client.ask("POST", f"/v1/agents/{agent}/messages", saying(story({"text": ["hello"]})))
        assert answer["messages"][-1]["content"] == "hello"
        assert client.sent(agent, story({"text": ["again"]}))[-1].done
        run_id = begin(
            client, story({"text": [*tokens(TOKENS), {"gate": mark}, "end"]}, mark=mark), agent=agent
        )
        model.wait_asked(mark, said=TOKENS)
        assert cluster.owner(run_id) is worker
        watcher = Watcher(api, run_id)
        watcher.saw(TOKENS)
        model.open(mark)
        assert said(whole(watcher.all())) == TEXT + "end"
    with worker.client() as client:
        assert client.ask("GET", "/v1/health/")["status"] == "ok"
        assert client.ask("GET", "/v1/ready/")["status"] == "ok"
        assert "runstead_leases_held" in client.http.get("/metrics").text
        assert client.refused("GET", "/v1/agents/").status_code == 404


def test_runs_wait_while_nobody_works(cluster: Cluster, model: StoryModel, mark: str) -> None:
    """All workers killed: what was begun and what is admitted since waits, readers too; the next worker does all of it."""
    api, worker, later = cluster.members
    with api.client() as client:
        begun = begin(client, story({"text": [*tokens(TOKENS), {"gate": mark}, "end"]}, mark=mark))
        watcher = Watcher(api, begun)
        watcher.saw(TOKENS)
        worker.kill()
        waiting = begin(client, story({"text": ["was ", "here"]}, mark=f"{mark}-waiting"))
        asleep = Watcher(api, waiting)
        until(lambda: len(asleep.frames) > len(asleep.numbered), what="a ping in the silence")
        assert client.run(waiting)["status"] == "created"
        assert not model.asked_with(f"{mark}-waiting")
        model.open(mark)

        later.start()
        client.wait_status(begun, "completed")
        client.wait_status(waiting, "completed")
        assert said(whole(watcher.all())) == TEXT + "end"
        assert said(whole(asleep.all())) == "was here"


def test_a_worker_needs_no_port(tmp_path: Path, model: StoryModel, postgres_store_url: str) -> None:
    """It takes a free one, so that it can stand beside the process that serves on the usual one."""
    log = tmp_path / "log"
    with log.open("wb") as written:
        worker = subprocess.Popen(
            [sys.executable, "-m", "runstead", "serve", "--role", "worker"],
            env={
                "HOME": str(tmp_path),
                "RUNSTEAD_DATABASE_URL": postgres_store_url,
                "OPENAI_BASE_URL": model.url,
            },
            stdout=written,
            stderr=subprocess.STDOUT,
        )
    try:
        until(lambda: "listening on" in log.read_text(), START_S, "the worker")
        found = re.search(r"listening on (\S+)", log.read_text())
        assert found is not None
        assert not found[1].endswith(":8283")
        assert httpx.get(f"{found[1]}/v1/health/").status_code == 200
    finally:
        worker.terminate()
        assert worker.wait(STOP_S) == 0, log.read_text()
