"""Ids in bodies and queries, of every operation that takes one: another actor's thing cannot be named there either.

The names of such fields are read from the server's own document: a new one fails here until it is said what is asked for it.
What is one's own stands in the path, so that nothing but the field can be what is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from tests.e2e.test_isolation import new_user
from tests.e2e.test_isolation_of_routes import Owned, bob, owned
from tests.serving import Client, Server, saying

__all__ = ["bob", "owned"]

Json = dict[str, Any]
Field = tuple[str, str, str]
_NAMES = re.compile(
    r"^(agent|agents?_ids?|block|tool|run|archive|folder|source|file|conversation|identity|message)(_id|_ids)$|^agent_ids$"
)
_SAYING = saying("hello")
_USER_ADA: Json = {"identifier_key": "b", "name": "b", "identity_type": "user"}
_DEFAULT = "/v1/conversations/default"

# What is asked: the path with Bob's own ids as {mine_…}, and the body or query with Ada's.
REFUSED: dict[Field, tuple[str, Json | None]] = {
    ("POST", "/v1/agents/", "block_ids"): (
        "/v1/agents/",
        {"model": "openai/story", "block_ids": ["{block_id}"]},
    ),
    ("POST", "/v1/agents/", "tool_ids"): (
        "/v1/agents/",
        {"model": "openai/story", "tool_ids": ["{tool_id}"]},
    ),
    ("PATCH", "/v1/agents/{agent_id}", "block_ids"): (
        "/v1/agents/{mine_agent}",
        {"block_ids": ["{block_id}"]},
    ),
    ("PATCH", "/v1/agents/{agent_id}", "tool_ids"): ("/v1/agents/{mine_agent}", {"tool_ids": ["{tool_id}"]}),
    ("PATCH", "/v1/agents/{agent_id}", "message_ids"): (
        "/v1/agents/{mine_agent}",
        {"message_ids": ["{message_id}"]},
    ),
    ("GET", "/v1/agents/{agent_id}/export", "conversation_id"): (
        "/v1/agents/{mine_agent}/export?conversation_id={conversation_id}",
        None,
    ),
    ("POST", "/v1/agents/{agent_id}/export", "conversation_id"): (
        "/v1/agents/{mine_agent}/export",
        {"conversation_id": "{conversation_id}"},
    ),
    ("POST", "/v1/conversations/{conversation_id}/messages/preview-raw-payload", "agent_id"): (
        _DEFAULT + "/messages/preview-raw-payload",
        {**_SAYING, "agent_id": "{agent_id}"},
    ),
    ("PATCH", "/v1/mcp-servers/{mcp_server_id}/refresh", "agent_id"): (
        "/v1/mcp-servers/{mine_mcp_server}/refresh?agent_id={agent_id}",
        None,
    ),
    ("POST", "/v1/tools/mcp/servers/{mcp_server_name}/resync", "agent_id"): (
        "/v1/tools/mcp/servers/cy/resync?agent_id={agent_id}",
        None,
    ),
    ("POST", "/v1/agents/", "folder_ids"): (
        "/v1/agents/",
        {"model": "openai/story", "folder_ids": ["{folder_id}"]},
    ),
    ("POST", "/v1/agents/", "source_ids"): (
        "/v1/agents/",
        {"model": "openai/story", "source_ids": ["{folder_id}"]},
    ),
    ("PATCH", "/v1/agents/{agent_id}", "folder_ids"): (
        "/v1/agents/{mine_agent}",
        {"folder_ids": ["{folder_id}"]},
    ),
    ("PATCH", "/v1/agents/{agent_id}", "source_ids"): (
        "/v1/agents/{mine_agent}",
        {"source_ids": ["{folder_id}"]},
    ),
    ("GET", "/v1/agents/{agent_id}/context", "conversation_id"): (
        "/v1/agents/{mine_agent}/context?conversation_id={conversation_id}",
        None,
    ),
    ("POST", "/v1/conversations/", "agent_id"): ("/v1/conversations/?agent_id={agent_id}", None),
    ("POST", "/v1/conversations/{conversation_id}/fork", "agent_id"): (
        _DEFAULT + "/fork?agent_id={agent_id}",
        {},
    ),
    ("POST", "/v1/conversations/{conversation_id}/cancel", "agent_id"): (
        _DEFAULT + "/cancel?agent_id={agent_id}",
        {},
    ),
    ("GET", "/v1/conversations/{conversation_id}/messages", "agent_id"): (
        _DEFAULT + "/messages?agent_id={agent_id}",
        None,
    ),
    ("POST", "/v1/conversations/{conversation_id}/messages", "agent_id"): (
        _DEFAULT + "/messages",
        {**_SAYING, "agent_id": "{agent_id}"},
    ),
    ("POST", "/v1/conversations/{conversation_id}/stream", "agent_id"): (
        _DEFAULT + "/stream",
        {"agent_id": "{agent_id}"},
    ),
    ("POST", "/v1/conversations/{conversation_id}/stream", "run_id"): (
        "/v1/conversations/{mine_agent}/stream",
        {"run_id": "{run_id}"},
    ),
    ("POST", "/v1/conversations/{conversation_id}/compact", "agent_id"): (
        _DEFAULT + "/compact",
        {"agent_id": "{agent_id}"},
    ),
    ("POST", "/v1/conversations/{conversation_id}/recompile", "agent_id"): (
        _DEFAULT + "/recompile",
        {"agent_id": "{agent_id}"},
    ),
    ("POST", "/v1/identities/", "agent_ids"): ("/v1/identities/", {**_USER_ADA, "agent_ids": ["{agent_id}"]}),
    ("POST", "/v1/identities/", "block_ids"): ("/v1/identities/", {**_USER_ADA, "block_ids": ["{block_id}"]}),
    ("PUT", "/v1/identities/", "agent_ids"): ("/v1/identities/", {**_USER_ADA, "agent_ids": ["{agent_id}"]}),
    ("PUT", "/v1/identities/", "block_ids"): ("/v1/identities/", {**_USER_ADA, "block_ids": ["{block_id}"]}),
    ("PATCH", "/v1/identities/{identity_id}", "agent_ids"): (
        "/v1/identities/{mine_identity}",
        {"agent_ids": ["{agent_id}"]},
    ),
    ("PATCH", "/v1/identities/{identity_id}", "block_ids"): (
        "/v1/identities/{mine_identity}",
        {"block_ids": ["{block_id}"]},
    ),
    ("POST", "/v1/passages/search", "agent_id"): (
        "/v1/passages/search",
        {"query": "h", "agent_id": "{agent_id}"},
    ),
    ("POST", "/v1/passages/search", "archive_id"): (
        "/v1/passages/search",
        {"query": "h", "archive_id": "{archive_id}"},
    ),
    ("POST", "/v1/messages/search", "agent_id"): (
        "/v1/messages/search",
        {"query": "h", "agent_id": "{agent_id}"},
    ),
    ("POST", "/v1/agents/messages/search", "agent_id"): (
        "/v1/agents/messages/search",
        {"query": "h", "agent_id": "{agent_id}"},
    ),
}
# What narrows a list: to nothing, where it names another's, or to a refusal.
NARROWS: set[Field] = {
    ("GET", path, name)
    for path, names in {
        "/v1/agents/": ("identity_id",),
        "/v1/agents/count": ("identity_id",),
        "/v1/agents/{agent_id}/messages": ("conversation_id",),
        "/v1/archives/": ("agent_id",),
        "/v1/blocks/": ("identity_id",),
        "/v1/blocks/count": ("identity_id",),
        "/v1/conversations/": ("agent_id",),
        "/v1/messages/": ("conversation_id",),
        "/v1/runs/": ("agent_id", "agent_ids", "conversation_id"),
        "/v1/runs/active": ("agent_id", "agent_ids"),
        "/v1/steps/": ("agent_id",),
        "/v1/tools/": ("tool_ids",),
        "/v1/tools/count": ("tool_ids",),
    }.items()
    for name in names
}
SEARCHES: dict[Field, Json] = {
    ("POST", path, "conversation_id"): {"query": "hushed", "conversation_id": "{conversation_id}"}
    for path in ("/v1/messages/search", "/v1/agents/messages/search")
}
# What is kept as it was given, and is not looked up for anybody else.
KEPT: set[Field] = {
    ("POST", "/v1/agents/", "identity_ids"),
    ("PATCH", "/v1/agents/{agent_id}", "identity_ids"),
}
# Tests of their own ask these: numbers (test_metrics), a cancel that says of each run what came of it, and a body that names
# again what the path names.
ELSEWHERE: set[Field] = {
    ("GET", "/v1/runs/counts", "agent_id"),
    ("GET", "/v1/runs/counts", "agent_ids"),
    ("GET", "/v1/runs/counts", "conversation_id"),
    ("POST", "/v1/agents/{agent_id}/messages/cancel", "run_ids"),
    ("POST", "/v1/agents/{agent_id}/summarize", "agent_id"),
    ("POST", "/v1/runs/{run_id}/stream", "agent_id"),
    ("POST", "/v1/runs/{run_id}/stream", "run_id"),
}
_MINE = re.compile(r"\{mine_(\w+)\}")


def fields_of(document: Json) -> set[Field]:
    """Every field of a body or query that names something of an actor's."""
    schemas: Json = document["components"]["schemas"]
    found: set[Field] = set()
    for path, operations in document["paths"].items():
        if path.startswith("/v1/admin/"):
            continue
        for method, operation in operations.items():
            names = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
            for content in operation.get("requestBody", {}).get("content", {}).values():
                names |= _members(content["schema"], schemas)
            found |= {(method.upper(), path, name) for name in names if _NAMES.match(name)}
    return found


def _members(schema: Json, schemas: Json) -> set[str]:
    """The names of a body's own members, in all of its forms."""
    if "$ref" in schema:
        return _members(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    names = set(schema.get("properties", {}))
    for form in ("anyOf", "oneOf", "allOf"):
        for each in schema.get(form, []):
            names |= _members(each, schemas)
    return names


def filled(ada: Owned, mine: dict[str, str], value: object) -> Any:
    """Ada's ids and Bob's own in the places that are left for them."""
    if isinstance(value, str):
        return ada.filled(_MINE.sub(lambda found: mine[found[1]], value))
    if isinstance(value, list):
        return [filled(ada, mine, each) for each in value]
    if isinstance(value, dict):
        return {name: filled(ada, mine, each) for name, each in value.items()}
    return value


@pytest.fixture(scope="module")
def mine(server: Server) -> Iterator[tuple[Client, dict[str, str]]]:
    """A client of an actor who has things too, and what they are called."""
    with server.client() as admin:
        user = new_user(admin, "cy")
    with server.client(user_id=user) as client:
        server_of_tools: Json = {"server_name": "cy", "config": {"server_url": "https://cy.invalid/mcp"}}
        identity: Json = {"identifier_key": "cy", "name": "cy", "identity_type": "user"}
        yield (
            client,
            {
                "agent": client.agent(),
                "identity": client.ask("POST", "/v1/identities/", identity)["id"],
                "mcp_server": client.ask("POST", "/v1/mcp-servers/", server_of_tools)["id"],
            },
        )


def test_every_field_is_asked_for(server: Server) -> None:
    """No operation takes an id of which nothing is said here."""
    with server.client() as client:
        named = fields_of(client.ask("GET", "/openapi.json"))
    said = REFUSED.keys() | NARROWS | SEARCHES.keys() | KEPT | ELSEWHERE
    assert not named - said, f"say what is asked for them: {sorted(named - said)}"
    assert not said - named, f"nobody takes them any more: {sorted(said - named)}"


def test_what_a_body_names_is_not_there(
    owned: tuple[Owned, Client], mine: tuple[Client, dict[str, str]]
) -> None:
    """404 for each; nothing was taken, and the words tell nothing."""
    ada, own = owned
    client, ids = mine
    before = own.ask("GET", f"/v1/agents/{ada.ids['agent_id']}")
    for (method, path, name), (asked, body) in REFUSED.items():
        answer = client.http.request(method, filled(ada, ids, asked), json=filled(ada, ids, body))
        expected = 400 if name == "message_ids" else 404
        assert answer.status_code == expected, f"{method} {path} {name}: {answer.status_code} {answer.text}"
        assert "hushed" not in answer.text
        assert "user-" not in answer.text
    agent = client.ask("GET", f"/v1/agents/{ids['agent']}?include=agent.blocks&include=agent.tools")
    assert (agent["blocks"], agent["tools"]) == ([], [])
    assert own.ask("GET", f"/v1/agents/{ada.ids['agent_id']}") == before
    assert client.ask("GET", "/v1/agents/count") == 1


def test_a_filter_by_another_actors_thing_finds_nothing(
    owned: tuple[Owned, Client], mine: tuple[Client, dict[str, str]]
) -> None:
    """An empty list, or 404: never the list without the filter, and nothing of the other's; so with every cursor."""
    ada, _ = owned
    client, ids = mine
    for method, path, name in NARROWS:
        singular = name.removesuffix("s")
        own = path.replace("{agent_id}", ids["agent"])
        answer = client.http.request(method, f"{own}?{name}={ada.ids[singular]}")
        assert answer.status_code == 404 or answer.json() in ([], 0), f"{path} {name}: {answer.text}"
    for (method, path, _), body in SEARCHES.items():
        answer = client.http.request(method, path, json=filled(ada, ids, body))
        assert answer.status_code == 404 or answer.json() == [], f"{path}: {answer.text}"
    lists = {
        "/v1/agents/": "agent_id", "/v1/blocks/": "block_id", "/v1/tools/": "tool_id", "/v1/runs/": "run_id",
        "/v1/steps/": "step_id", "/v1/archives/": "archive_id", "/v1/conversations/": "conversation_id",
        "/v1/identities/": "identity_id", "/v1/providers/": "provider_id", "/v1/messages/": "message_id",
        f"/v1/agents/{ids['agent']}/messages": "message_id",
        f"/v1/agents/{ids['agent']}/archival-memory": "passage_id",
    }  # fmt: skip
    for path, named in lists.items():
        for cursor in ("after", "before"):
            answer = client.http.get(f"{path}?{cursor}={ada.ids[named]}")
            assert answer.status_code == 404 or answer.json() == [], f"{path} {cursor}: {answer.text}"
            assert "hushed" not in answer.text


def test_an_identity_of_another_actor_is_not_told_of(
    owned: tuple[Owned, Client], mine: tuple[Client, dict[str, str]]
) -> None:
    """An agent that names it has no identity, and the identity has no such agent."""
    ada, own = owned
    client, _ = mine
    named = client.agent(identity_ids=[ada.ids["identity_id"]])
    client.ask("PATCH", f"/v1/agents/{named}", {"identity_ids": [ada.ids["identity_id"]]})
    told = client.http.get(f"/v1/agents/{named}?include=agent.identities")
    assert told.json()["identities"] == []
    assert "hushed" not in told.text
    assert named not in own.ask("GET", f"/v1/identities/{ada.ids['identity_id']}")["agent_ids"]
    client.ask("DELETE", f"/v1/agents/{named}")


def test_two_ids_in_a_path_are_both_looked_at(
    owned: tuple[Owned, Client], mine: tuple[Client, dict[str, str]]
) -> None:
    """One's own agent, or identity, and another's thing: not attached, not detached, not told of."""
    ada, own = owned
    client, ids = mine
    agent = f"/v1/agents/{ids['agent']}"
    for kind, named in (
        ("tools", "tool_id"),
        ("core-memory/blocks", "block_id"),
        ("archives", "archive_id"),
        ("identities", "identity_id"),
    ):
        attached = client.http.patch(f"{agent}/{kind}/attach/{ada.ids[named]}")
        assert attached.status_code == 404, f"{kind}: {attached.status_code} {attached.text}"
        detached = client.http.patch(f"{agent}/{kind}/detach/{ada.ids[named]}")
        assert detached.status_code in {200, 404}
        assert "hushed" not in attached.text + detached.text
    theirs = f"/v1/blocks/{ada.ids['block_id']}/identities"
    assert client.http.patch(f"{theirs}/attach/{ids['identity']}").status_code == 404
    there = own.ask("GET", f"/v1/agents/{ada.ids['agent_id']}?include=agent.tools&include=agent.blocks")
    made = [each["id"] for each in there["tools"] if each["tool_type"] == "custom"]
    assert made == [ada.ids["tool_id"]]
    assert [each["id"] for each in there["blocks"]] == [ada.ids["block_id"]]


def test_an_approval_of_another_actors_call_is_none(
    owned: tuple[Owned, Client], mine: tuple[Client, dict[str, str]]
) -> None:
    """An answer that names another's message, sent to one's own agent, decides nothing there."""
    ada, own = owned
    client, ids = mine
    approval = {
        "type": "approval",
        "approval_request_id": ada.ids["message_id"],
        "approve": True,
        "approvals": [],
    }
    answer = client.refused("POST", f"/v1/agents/{ids['agent']}/messages", {"messages": [approval]})
    assert answer.status_code in {400, 404, 409, 422}
    assert "hushed" not in answer.text
    assert own.run(ada.ids["run_id"])["status"] == "completed"
