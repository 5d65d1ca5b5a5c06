"""Secrets put where they belong turn up nowhere else: not in a log line, not in a span, not in a number.

A real process, at its most talkative; it is killed in the middle of a run and started again, so that what goes wrong is
logged too.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.collector import Collector, collecting
from tests.serving import Server, saying, story, until
from tests.story_model import StoryModel

PROVIDER_KEY = "canary-of-the-provider"
PASSWORD = "canary-of-the-password"
TOOL_SECRET = "canary-of-the-tool"
COLLECTOR_KEY = "canary-of-the-collector"
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
AS_ADMIN = f"Bearer {PASSWORD}"
# It shows its secret to the one who may see it, and fails with it the second time.
SOURCE = """
import os

def shows(again: bool) -> str:
    \"\"\"Show the secret.

    Args:
        again: whether it fails.
    \"\"\"
    if again:
        raise RuntimeError(os.environ["TOKEN"])
    return os.environ["TOKEN"]
"""


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as found:
        yield found


@pytest.mark.slow
def test_no_secret_in_logs_spans_or_numbers(tmp_path: Path, collector: Collector) -> None:
    """The provider's key, the password, an API key, a tool's secret, the key of the collector."""
    with StoryModel() as model:
        server = Server(
            tmp_path,
            model.url,
            OPENAI_API_KEY=PROVIDER_KEY,
            RUNSTEAD_SERVER_PASSWORD=PASSWORD,
            RUNSTEAD_LOG_LEVEL="DEBUG",
            RUNSTEAD_LOG_JSON="1",
            RUNSTEAD_SANDBOX="process",
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer {COLLECTOR_KEY}",
            OTEL_BSP_SCHEDULE_DELAY="50",
        )
        with server, server.client(authorization=AS_ADMIN) as client:
            key = _new_key(tmp_path / "data")
            run_id = _interrupted(server, model, key)
            with server.client(authorization=f"Bearer {key}") as again:
                again.wait_status(run_id, "completed")
                again.refused("GET", "/v1/runs/run-" + "0" * 8)
            client.refused("GET", "/v1/agents/", headers={"authorization": "Bearer canary-of-nobody"})
            numbers = client.http.get("/metrics").text
    secrets = (PROVIDER_KEY, PASSWORD, TOOL_SECRET, COLLECTOR_KEY, key, "canary-of-nobody")
    for secret in secrets:
        assert secret not in server.log
        assert secret.encode() not in b"".join(collector.raw)
        assert secret not in numbers
    assert collector.headers[0]["authorization"] == f"Bearer {COLLECTOR_KEY}"
    told = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    assert told, "it was talkative"
    attempts = [span for span in collector.spans if span.name.startswith("invoke_agent")]
    assert {span.trace_id for span in collector.spans} == {CALLER.split("-")[1]}
    assert attempts[-1].attributes["runstead.run.attempt"] == 2
    assert attempts[-1].links, "the second owner's span links to that of the one who was killed"


def _new_key(data: Path) -> str:
    """An API key, made beside the running server."""
    command = [sys.executable, "-m", "runstead", "keys", "create", "canary", "--data-dir", str(data)]
    made = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    (key,) = re.findall(r"\brs-[\w-]+", made.stdout)
    return str(key)


def _interrupted(server: Server, model: StoryModel, key: str) -> str:
    """A run that called its tool twice, whose server was then killed and started again; its id."""
    with server.client(authorization=f"Bearer {key}", traceparent=CALLER) as client:
        client.ask("POST", "/v1/tools/", {"source_code": SOURCE})
        agent = client.agent(tools=["shows"], secrets={"TOKEN": TOOL_SECRET})
        calls = [
            {"id": f"c{again}", "name": "shows", "arguments": {"again": again}} for again in (False, True)
        ]
        turns = story(
            *({"calls": [call]} for call in calls), {"text": ["so ", {"gate": "go"}, "done"]}, mark="m"
        )
        run_id = str(client.ask("POST", f"/v1/agents/{agent}/messages/async", saying(turns))["id"])
        model.wait_until(lambda: len(model.asked_with("m")) == 3)
    server.kill()
    model.open("go")
    server.start()
    until(lambda: server.running)
    return run_id
