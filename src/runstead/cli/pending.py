"""The tool calls that an agent waits to be answered for, as the API shows them. Answers nothing."""

from __future__ import annotations

from typing import Any, cast

from runstead.cli.client import ApiClient
from runstead.cli.received import ShownCall, calls_of
from runstead.errors import NotFound

Json = dict[str, Any]


def pending(client: ApiClient, agent_id: str, run_id: str) -> list[ShownCall]:
    """The calls of this run that wait for a person."""
    try:
        asked = client.agent(agent_id)["pending_approval"]
    except NotFound:  # the agent was deleted, and its questions with it
        return []
    return calls_of(cast("Json", asked)) if asked is not None and asked.get("run_id") == run_id else []
