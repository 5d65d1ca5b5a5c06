"""`runstead runs approve` and `deny`: the calls that wait are answered, none is let through unnamed."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from tests.cli.conftest import Typed
from tests.serving import Client, story

from runstead.cli.runs.answer import decide
from runstead.errors import Invalid

pytestmark = pytest.mark.slow
Ended = Callable[..., str]
RULE = {"type": "requires_approval", "tool_name": "conversation_search"}


@pytest.fixture
def asking(client: Client) -> str:
    """An agent whose tool wants an approval."""
    return client.agent(tools=["conversation_search"], tool_rules=[RULE])


def asks(*ids: str) -> str:
    """A story that calls the tool so often, then ends."""
    calls = [{"name": "conversation_search", "arguments": {"query": id_}, "id": id_} for id_ in ids]
    return story({"calls": calls}, {"text": ["so be it"]})


def returned(client: Client, agent: str) -> dict[str, str]:
    """The status of each call's return in an agent's history."""
    said = client.ask("GET", f"/v1/agents/{agent}/messages?order=asc")
    return {m["tool_call_id"]: m["status"] for m in said if m["message_type"] == "tool_return_message"}


def test_approved(typed: Typed, ended: Ended, client: Client, asking: str) -> None:
    """The call happens in a new run, whose id is all that is printed; a second answer is refused."""
    run_id = ended(asks("call_a"), agent_id=asking)

    shown = typed("runs", "approve", run_id)

    assert shown.code == 0
    assert "approved conversation_search (call_a)" in shown.error
    assert typed("runs", "watch", shown.out.strip()).code == 0
    assert returned(client, asking) == {"call_a": "success"}
    again = typed("runs", "deny", run_id)
    assert again.code == 2
    assert "answered before" in again.error


def test_denied_with_a_reason(typed: Typed, ended: Ended, client: Client, asking: str) -> None:
    """The agent is told why."""
    run_id = ended(asks("call_b"), agent_id=asking)

    shown = typed("runs", "deny", run_id, "--reason", "not today")

    assert typed("runs", "watch", shown.out.strip()).code == 0
    assert returned(client, asking) == {"call_b": "error"}
    history = client.ask("GET", f"/v1/agents/{asking}/messages")
    assert any("not today" in str(message) for message in history)


def test_one_of_two(typed: Typed, ended: Ended, client: Client, asking: str) -> None:
    """What is not named is denied."""
    run_id = ended(asks("call_c", "call_d"), agent_id=asking)

    shown = typed("runs", "approve", run_id, "--call", "call_d")

    assert typed("runs", "watch", shown.out.strip()).code == 0
    assert returned(client, asking) == {"call_c": "error", "call_d": "success"}


def test_a_run_that_asks_nothing(typed: Typed, ended: Ended) -> None:
    """Said so."""
    shown = typed("runs", "approve", ended())

    assert shown.code == 2
    assert "waits for no approval (end_turn)" in shown.error


def test_what_is_decided() -> None:
    """Nothing is let through that was not named, and nothing is left open."""
    assert decide(["a", "b"], True, None) == {"a": True, "b": True}
    assert decide(["a", "b"], False, None) == {"a": False, "b": False}
    assert decide(["a", "b"], True, ["b"]) == {"a": False, "b": True}
    assert decide(["a", "b"], False, ["b", "a"]) == {"a": False, "b": False}
    with pytest.raises(Invalid, match="approve --call b"):
        decide(["a", "b"], False, ["a"])
    with pytest.raises(Invalid, match="c is no call that waits here; those are a, b"):
        decide(["a", "b"], True, ["c"])


def test_what_waits_is_listed_with_its_time(typed: Typed, ended: Ended, client: Client, asking: str) -> None:
    """`list --asking` and `show` say until when; in a conversation too, where it can be answered as well."""
    made = client.ask("POST", f"/v1/conversations/?agent_id={asking}", {})
    said = {"messages": [{"role": "user", "content": asks("call_c")}], "streaming": False}
    client.ask("POST", f"/v1/conversations/{made['id']}/messages", said)
    listed = typed("runs", "list", "--agent", asking, "--asking").out.splitlines()[1]
    assert listed.split("\t")[7] == "6d"
    run_id = client.ask("GET", f"/v1/runs/?agent_id={asking}&asking=true")[0]["id"]
    shown = typed("runs", "show", run_id)
    assert "waits for  conversation_search(" in shown.out
    assert "expires in 6d" in shown.out

    answered = typed("runs", "approve", run_id)

    assert answered.code == 0, answered.error
    assert typed("runs", "watch", answered.out.strip()).code == 0
    assert len(typed("runs", "list", "--agent", asking, "--asking").out.splitlines()) == 1
