"""The main journey against a real model: opt in with RUNSTEAD_REAL_MODEL=1.

It asks the OpenAI-compatible server at RUNSTEAD_REAL_MODEL_URL (for example `http://127.0.0.1:8080/v1` of a llama-server),
which must be running; RUNSTEAD_REAL_MODEL_NAME picks one of its models, else the first it lists. Nothing is asserted about
what the model says, only that it speaks and that nothing of it is lost.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest
from tests.serving import Client, Server, run_id_in, saying, text_in

URL = os.environ.get("RUNSTEAD_REAL_MODEL_URL", "")
NAME = os.environ.get("RUNSTEAD_REAL_MODEL_NAME", "")
ASKED = os.environ.get("RUNSTEAD_REAL_MODEL") == "1" and bool(URL)
SLOW_S = 120

pytestmark = [
    pytest.mark.real_model,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not ASKED, reason="set RUNSTEAD_REAL_MODEL=1 and RUNSTEAD_REAL_MODEL_URL"),
]


@pytest.fixture
def client(tmp_path: Path) -> Iterator[Client]:
    """A client of a server of its own."""
    with Server(tmp_path, URL) as server, server.client() as speaking:
        speaking.http.timeout = SLOW_S
        yield speaking


def test_the_journey(client: Client) -> None:
    """Blocking, streamed, dropped and re-attached: it speaks, every event comes once, the text is the stored one."""
    handles = [model["handle"] for model in client.ask("GET", "/v1/models/")]
    handle = f"openai/{NAME}" if NAME else next(h for h in handles if not h.startswith("runstead/"))
    settings = {"max_output_tokens": 60}
    agent = client.agent(model=handle, model_settings=settings, system="You tell short stories.")
    answer = client.ask("POST", f"/v1/agents/{agent}/messages", saying("Once upon a time"))
    assert "".join(m["content"] for m in answer["messages"] if m["message_type"] == "assistant_message")
    assert answer["usage"]["completion_tokens"] > 0
    assert text_in(client.sent(agent, "And then?", stream_tokens=True))
    body = saying("And after that?", stream_tokens=True, background=True)
    with client.stream(f"/v1/agents/{agent}/messages/stream", body) as frames:
        seen = list(islice(frames, 6))
    run_id = run_id_in(seen)
    seen += client.resumed(run_id, seen[-1].seq)
    numbers = [frame.seq for frame in seen if frame.seq]
    assert numbers == list(range(1, len(numbers) + 1))
    stored = client.ask("GET", f"/v1/runs/{run_id}/messages")
    said = [m["content"] for m in stored if m["message_type"] == "assistant_message"]
    assert text_in(seen) == "".join(said)
    usage = client.ask("GET", f"/v1/runs/{run_id}/usage")
    assert usage["completion_tokens"] > 0
