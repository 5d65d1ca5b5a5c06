"""`runstead agents create`: an id for programs, an agent for the rest."""

from __future__ import annotations

import json

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client

from runstead.cli.agents.create import first_model

pytestmark = pytest.mark.slow


def test_an_agent_as_asked_for(typed: Typed, client: Client) -> None:
    """Model, instructions, blocks, tools, and which of them want an approval."""
    words = [
        "--model",
        "openai/story",
        "--system",
        "Be short.",
        "--block",
        "human=Likes a=b.",
        "--no-base-tools",
    ]
    shown = typed("agents", "create", "made", *words, "--approve", "conversation_search")

    agent = client.ask("GET", f"/v1/agents/{shown.out.strip()}?include=agent.blocks&include=agent.tools")
    assert (agent["name"], agent["model"], agent["system"]) == ("made", "openai/story", "Be short.")
    assert [(block["label"], block["value"]) for block in agent["blocks"]] == [("human", "Likes a=b.")]
    assert [tool["name"] for tool in agent["tools"]] == ["conversation_search"]
    assert {"type": "requires_approval", "tool_name": "conversation_search"}.items() <= agent["tool_rules"][
        0
    ].items()
    assert shown.error == ""


def test_without_a_model_the_first_real_one_is_taken(typed: Typed) -> None:
    """The demonstration only where there is nothing else."""
    made = json.loads(typed("agents", "create", "plain", "--json").out)

    assert made["model"] == "openai/story"
    assert first_model(["runstead/demo", "a/b"]) == "a/b"
    assert first_model(["runstead/demo"]) == "runstead/demo"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--block", "human"], "--block wants LABEL=TEXT"),
        (["--model", "nobody/x"], "nobody/x not found"),
        (["--tool", "fly"], "fly"),
    ],
)
def test_what_cannot_be_made(typed: Typed, words: list[str], reason: str) -> None:
    """Said in one line, exit code 2."""
    shown = typed("agents", "create", "wrong", *words)

    assert (shown.code, shown.out) == (2, "")
    assert reason in shown.error
    assert len(shown.error.splitlines()) == 1
