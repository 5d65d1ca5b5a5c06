"""What the tests of commands share: a real server to speak to, and commands that know where it is."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cli.outcome import Outcome
from tests.outside import agent, client, mark, model, server
from tests.serving import Client, Server, saying, until

from runstead.cli import main

__all__ = ["agent", "client", "mark", "model", "server"]
Typed = Callable[..., Outcome]


@pytest.fixture
def typed(server: Server, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Typed:
    """Type a command that knows the shared server; it runs in this process, into pipes."""
    monkeypatch.setenv("RUNSTEAD_URL", server.url)

    def command(*words: str) -> Outcome:
        capfd.readouterr()
        code = main(words)
        said = capfd.readouterr()
        return Outcome(code, said.out, said.err)

    return command


@pytest.fixture
def ended(client: Client, agent: str) -> Callable[..., str]:
    """Send a message in the background and wait for its end; gives the run's id."""

    def send(content: str = "hello", *, agent_id: str = agent, background: bool = True) -> str:
        if not background:
            frames = client.sent(agent_id, content, stream_tokens=True)
            return next(str(frame.json["run_id"]) for frame in frames)
        run_id = str(client.ask("POST", f"/v1/agents/{agent_id}/messages/async", saying(content))["id"])
        until(lambda: client.run(run_id)["completed_at"] is not None, what="the run's end")
        return run_id

    return send
