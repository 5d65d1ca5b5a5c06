"""The letta-code command line, unchanged, against a running server with the scripted model: headless, tools on the client.

RUNSTEAD_LETTA_CODE=1 runs every version that is known to speak this API, not only the newest and an older one.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from tests.compat.environments import INSTALL_S, NODE, ask, packages_of
from tests.serving import Client, Server
from tests.story_model import StoryModel

DEADLINE_S = 180
USUAL = ("0.19.5", "0.25.9")
VERSIONS = (
    ("0.15.2", "0.19.5", "0.21.7", "0.22.4", "0.25.9") if os.environ.get("RUNSTEAD_LETTA_CODE") else USUAL
)
EDIT = {"command": "echo edited > file.txt", "description": "edit"}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(INSTALL_S + 5 * DEADLINE_S)]


class Cli:
    """One version of the command line, in a home and a working folder of its own."""

    def __init__(self, version: str, server: Server, folder: Path) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir(parents=True)
        self.work.mkdir()
        self._program = packages_of(f"letta-code-{version}") / "@letta-ai" / "letta-code" / "letta.js"
        self._env = {
            "PATH": f"{NODE.parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LETTA_BASE_URL": server.url,
            "LETTA_API_KEY": "local",
            "DISABLE_AUTOUPDATER": "1",
        }

    def ask(self, prompt: str, *options: str) -> dict[str, Any]:
        """One headless prompt; its result."""
        command = [str(NODE), str(self._program), "-p", prompt, *options, "--output-format", "json"]
        return json.loads(ask(command, DEADLINE_S, folder=self.work, env=self._env))


@pytest.fixture(params=VERSIONS)
def cli(request: pytest.FixtureRequest, server: Server, folder: Path) -> Cli:
    """A command line that nobody used before."""
    return Cli(request.param, server, folder)


def edits(*after: dict[str, Any]) -> str:
    """A prompt that lets the model edit a file by a tool of the client, and then do what follows."""
    calls = [{"id": "call_a", "name": "ShellCommand", "arguments": EDIT}]
    return f"<<{json.dumps({'turns': [{'calls': calls}, *after]})}>>"


def test_a_prompt_edits_a_file_and_the_conversation_is_resumed(
    cli: Cli, client: Client, model: StoryModel, mark: str
) -> None:
    """The client's tool runs on the client, its return goes on; the next prompt is in the same conversation."""
    first = cli.ask(edits({"text": ["All ", "done."]}), "--new-agent", "-m", "openai/story", "--yolo")

    assert first["result"] == "All done."
    assert (cli.work / "file.txt").read_text() == "edited\n"
    conversation = first["conversation_id"]
    lane = first["agent_id"] if conversation == "default" else conversation
    runs = client.ask("GET", f"/v1/runs/?agent_id={first['agent_id']}&order=asc")
    assert [run["stop_reason"] for run in runs] == ["requires_approval", "end_turn"]
    # The oldest version talks outside of all conversations, and comes back by the agent alone.
    back = ("--agent", first["agent_id"]) if conversation == "default" else ("--conversation", conversation)
    again = cli.ask(f"{mark}: and now?", *back)
    assert again["conversation_id"] == conversation
    assert f"{mark}: and now?" in again["result"]
    assert "<<" in str(model.asked_with(mark)[-1].body["messages"]), "the model sees what was said before"
    kept = client.ask("GET", f"/v1/conversations/{lane}/messages?order=asc")
    assert [m["tool_returns"][0]["status"] for m in kept if m.get("tool_returns")] == ["success"]
    other = cli.ask("elsewhere", "--agent", first["agent_id"], "--new")
    assert other["conversation_id"] != conversation


def test_what_the_person_does_not_allow_is_not_done(cli: Cli, client: Client) -> None:
    """Without leave the client denies the call; the model hears it and the run ends in order."""
    prompt = edits({"text": ["Then ", "not."]})
    done = cli.ask(prompt, "--new-agent", "-m", "openai/story", "--permission-mode", "default")

    assert done["result"] == "Then not."
    assert not (cli.work / "file.txt").exists()
    runs = client.ask("GET", f"/v1/runs/?agent_id={done['agent_id']}&order=asc")
    assert [run["status"] for run in runs] == ["completed", "completed"]
