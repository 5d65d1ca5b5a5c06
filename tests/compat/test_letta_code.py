"""The letta-code command line, unchanged, against a running server with the scripted model.

Opt in: `npm i --ignore-scripts @letta-ai/letta-code@0.25.9`, then `RUNSTEAD_LETTA_CODE=node_modules/.bin/letta`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.serving import Client, Server
from tests.story_model import StoryModel

LETTA = os.environ.get("RUNSTEAD_LETTA_CODE", "")
DEADLINE_S = 50
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not LETTA, reason="RUNSTEAD_LETTA_CODE names no letta command"),
]


class Cli:
    """The command line in a home and a working folder of its own."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.home, self.work = folder / "home", folder / "work"
        self.home.mkdir(parents=True)
        self.work.mkdir()
        self._env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "LETTA_BASE_URL": server.url,
            "LETTA_API_KEY": "local",
            "DISABLE_AUTOUPDATER": "1",
        }

    def ask(self, prompt: str, *options: str) -> dict[str, Any]:
        """One headless prompt; its result."""
        done = subprocess.run(
            [str(Path(LETTA).resolve()), "-p", prompt, *options, "--output-format", "json"],
            env=self._env,
            cwd=self.work,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)


@pytest.fixture
def cli(server: Server, folder: Path) -> Cli:
    """A command line that nobody used before."""
    return Cli(server, folder)


def test_a_prompt_edits_a_file_and_the_conversation_is_resumed(
    cli: Cli, client: Client, model: StoryModel
) -> None:
    """The client's tool runs on the client, its return goes on; the next prompt is in the same conversation."""
    command = {"command": "echo edited > file.txt", "description": "edit"}
    calls = [{"id": "call_a", "name": "ShellCommand", "arguments": command}]
    story = json.dumps({"turns": [{"calls": calls}, {"text": ["All ", "done."]}]})

    first = cli.ask(f"<<{story}>>", "--new-agent", "-m", "openai/story", "--yolo")

    assert first["result"] == "All done."
    assert (cli.work / "file.txt").read_text() == "edited\n"
    conversation = first["conversation_id"]
    runs = client.ask("GET", f"/v1/runs/?conversation_id={conversation}&order=asc")
    assert [run["stop_reason"] for run in runs] == ["requires_approval", "end_turn"]
    again = cli.ask("and now?", "--conversation", conversation)
    assert again["conversation_id"] == conversation
    assert "and now?" in again["result"]
    assert "<<" in str(model.asked_with("and now?")[-1].body["messages"])
    other = cli.ask("elsewhere", "--agent", first["agent_id"])
    assert other["conversation_id"] != conversation
