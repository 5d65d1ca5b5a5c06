"""Every operation that the server's own document lists: what another actor has is not there, whichever way one asks.

A new operation fails here until it is said how its path is filled, or that it names nothing of an actor's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from tests.e2e.test_isolation import new_user
from tests.serving import Client, Server, run_id_in, saying, story

Json = dict[str, Any]
Operation = tuple[str, str]
_PARAMETER = re.compile(r"\{(\w+)\}")
# What is everybody's, or an administrator's: nothing in it belongs to an actor.
NOBODYS = ("/v1/health/", "/v1/ready/", "/v1/models/embedding", "/v1/admin/")
# What only makes things: they are who asks's own.
MAKES = {
    ("POST", "/v1/identities/"),
    ("PUT", "/v1/identities/"),
    ("POST", "/v1/agents/"),
    ("POST", "/v1/blocks/"),
    ("POST", "/v1/archives/"),
    ("POST", "/v1/folders/"),
    ("POST", "/v1/sources/"),
    ("POST", "/v1/agents/import"),
    ("POST", "/v1/tools/"),
    ("PUT", "/v1/tools/"),
    ("POST", "/v1/tools/add-base-tools"),
    ("POST", "/v1/tools/generate-schema"),
    ("POST", "/v1/tools/run"),
    ("POST", "/v1/mcp-servers/"),
    ("PUT", "/v1/tools/mcp/servers"),
    ("POST", "/v1/tools/mcp/servers/connect"),
    ("POST", "/v1/tools/mcp/servers/test"),
    ("POST", "/v1/providers/"),
    ("POST", "/v1/providers/check"),
}
# What everybody has some of, because it ships: nothing of another's is among it.
SHIPPED = {"/v1/tools/", "/v1/tools/count", "/v1/providers/", "/v1/models/"}
# What says how much there is: that there is none.
COUNTED = {"/v1/folders/metadata", "/v1/sources/metadata"}
# What tells without an end, or in numbers: tests of their own hold whose it is.
TOLD = {"/v1/runs/feed", "/v1/runs/counts"}
TOOL = '''def hushed_tool(word: str) -> str:
    """
    Say it.

    Args:
        word (str): what to say
    """
    return word
'''
# What asks beside its path for something of another's.
ASKS: dict[Operation, tuple[str, Json | None]] = {
    ("POST", "/v1/conversations/"): ("?agent_id={agent_id}", None),
    ("POST", "/v1/messages/search"): ("", {"query": "hushed", "agent_id": "{agent_id}"}),
    ("POST", "/v1/agents/messages/search"): ("", {"query": "hushed", "agent_id": "{agent_id}"}),
    ("POST", "/v1/passages/search"): ("", {"query": "hushed", "archive_id": "{archive_id}"}),
    ("POST", "/v1/chat/completions"): (
        "",
        {"model": "{agent_id}", "messages": [{"role": "user", "content": "hello"}]},
    ),
}
# What finds, without naming an owner: nothing of another's.
FINDS: dict[Operation, Json] = {
    ("POST", "/v1/messages/search"): {"query": "hushed"},
    ("POST", "/v1/agents/messages/search"): {"query": "hushed"},
    ("POST", "/v1/passages/search"): {"query": "hushed"},
}
# Nobody answers there.
MCP: Json = {"server_name": "ada", "config": {"server_url": "https://hushed.invalid/mcp"}}
# Nobody listens there.
PROVIDER: Json = {
    "name": "hushed",
    "provider_type": "vllm",
    "api_key": "hushed",
    "base_url": "http://127.0.0.1:9",
}
# What an agent holds, by the name that its id has here.
KINDS = (
    ("core-memory/blocks", "block_id"),
    ("archives", "archive_id"),
    ("folders", "folder_id"),
    ("sources", "folder_id"),
)
ADA: Json = {"identifier_key": "ada", "name": "hushed", "identity_type": "user"}
QUERIES: dict[Operation, str] = {
    ("GET", "/v1/agents/{agent_id}/archival-memory/search"): "?query=hushed",
}
BODIES: dict[Operation, object] = {
    ("PUT", "/v1/identities/{identity_id}/properties"): [],
    ("PATCH", "/v1/agents/{agent_id}"): {"name": "mine"},
    ("POST", "/v1/agents/{agent_id}/messages"): saying("hello"),
    ("PATCH", "/v1/agents/{agent_id}/messages/{message_id}"): {"content": "mine"},
    ("POST", "/v1/agents/{agent_id}/messages/preview-raw-payload"): saying("hello"),
    ("POST", "/v1/conversations/{conversation_id}/messages/preview-raw-payload"): saying("hello"),
    ("POST", "/v1/agents/{agent_id}/messages/stream"): saying("hello"),
    ("POST", "/v1/agents/{agent_id}/messages/async"): saying("hello"),
    ("POST", "/v1/agents/{agent_id}/archival-memory"): {"text": "mine"},
    ("POST", "/v1/agents/{agent_id}/generate"): {"prompt": "hello"},
    ("PATCH", "/v1/agents/{agent_id}/core-memory/blocks/{block_label}"): {"value": "mine"},
    ("PATCH", "/v1/blocks/{block_id}"): {"value": "mine"},
    ("PATCH", "/v1/archives/{archive_id}"): {"name": "mine"},
    ("PATCH", "/v1/folders/{folder_id}"): {"name": "mine"},
    ("PATCH", "/v1/sources/{folder_id}"): {"name": "mine"},
    ("POST", "/v1/archives/{archive_id}/passages"): {"text": "mine"},
    ("POST", "/v1/archives/{archive_id}/passages/batch"): {"passages": [{"text": "mine"}]},
    ("PATCH", "/v1/conversations/{conversation_id}"): {"summary": "mine"},
    ("POST", "/v1/conversations/{conversation_id}/messages"): saying("hello"),
    ("PATCH", "/v1/steps/{step_id}/feedback"): {"feedback": "positive"},
    ("PATCH", "/v1/identities/{identity_id}"): {"name": "mine"},
    ("PATCH", "/v1/providers/{provider_id}"): {"api_key": "mine"},
    ("PATCH", "/v1/tools/{tool_id}"): {"description": "mine"},
    ("PATCH", "/v1/mcp-servers/{mcp_server_id}"): {"config": {"server_url": "https://mine.invalid/"}},
    ("PATCH", "/v1/tools/mcp/servers/{mcp_server_name}"): {"server_url": "https://mine.invalid/"},
    ("POST", "/v1/tools/mcp/servers/{mcp_server_name}/tools/{tool_name}/execute"): {"args": {}},
    ("PATCH", "/v1/agents/{agent_id}/tools/approval/{tool_name}"): {"requires_approval": True},
    ("POST", "/v1/agents/{agent_id}/tools/{tool_name}/run"): {"args": {"word": "x"}},
}


@dataclass(frozen=True, slots=True)
class Owned:
    """What one actor has, by the names that paths have for it."""

    ids: dict[str, str]

    def filled(self, text: str) -> str:
        """A text with this actor's ids in the place of its parameters."""
        return _PARAMETER.sub(lambda found: self.ids[found[1]], text)

    def body(self, body: Json | None) -> Json | None:
        """A body with this actor's ids."""
        if body is None:
            return None
        return {k: self.filled(v) if isinstance(v, str) else v for k, v in body.items()}


def filed(client: Client, agent: str) -> tuple[str, str]:
    """A folder of an agent's, and a file in it."""
    folder = client.ask("POST", "/v1/folders/", {"name": "quiet"})["id"]
    client.ask("PATCH", f"/v1/agents/{agent}/folders/attach/{folder}")
    upload = client.http.post(f"/v1/folders/{folder}/upload", files={"file": ("hushed.txt", b"hushed")})
    assert upload.status_code == 200, upload.text
    return folder, upload.json()["id"]


@pytest.fixture(scope="module")
def owned(server: Server) -> Iterator[tuple[Owned, Client]]:
    """One of everything, of an actor, and a client of that actor."""
    with server.client() as admin:
        ada = new_user(admin, "ada")
    with server.client(user_id=ada) as client:
        block = {"label": "human", "value": "hushed"}
        agent = client.agent(memory_blocks=[block], tags=["hushed"])
        frames = client.sent(agent, story({"text": ["hushed"]}), background=True)
        run = run_id_in(frames)
        conversation = client.ask("POST", f"/v1/conversations/?agent_id={agent}")["id"]
        passage = client.ask("POST", f"/v1/agents/{agent}/archival-memory", {"text": "hushed"})[0]
        held = client.ask("GET", f"/v1/agents/{agent}/core-memory/blocks")[0]
        tool = client.ask("POST", "/v1/tools/", {"source_code": TOOL})
        client.ask("PATCH", f"/v1/agents/{agent}/tools/attach/{tool['id']}")
        folder, file = filed(client, agent)
        yield (
            Owned(
                {
                    "agent_id": agent,
                    "run_id": run,
                    "step_id": client.ask("GET", f"/v1/runs/{run}/steps")[0]["id"],
                    "block_id": held["id"],
                    "identity_id": client.ask("POST", "/v1/identities/", ADA)["id"],
                    "provider_id": client.ask("POST", "/v1/providers/", PROVIDER)["id"],
                    "block_label": "human",
                    "tool_id": tool["id"],
                    "tool_name": tool["name"],
                    "mcp_server_id": client.ask("POST", "/v1/mcp-servers/", MCP)["id"],
                    "mcp_server_name": MCP["server_name"],
                    "mcp_tool_name": tool["name"],
                    "conversation_id": conversation,
                    "passage_id": passage["id"],
                    "archive_id": passage["archive_id"],
                    "folder_id": folder,
                    "folder_name": "quiet",
                    "file_id": file,
                    "message_id": client.ask("GET", f"/v1/agents/{agent}/messages")[0]["id"],
                }
            ),
            client,
        )


@pytest.fixture(scope="module")
def bob(server: Server) -> Iterator[Client]:
    """A client of another actor."""
    with server.client() as admin:
        user = new_user(admin, "bob")
    with server.client(user_id=user) as client:
        yield client


@pytest.fixture(scope="module")
def document(server: Server) -> list[Operation]:
    """Every operation of the server's own document."""
    with server.client() as client:
        paths = client.ask("GET", "/openapi.json")["paths"]
    return [(method.upper(), path) for path, item in paths.items() for method in item]


def test_what_a_path_names_is_not_there(
    owned: tuple[Owned, Client], bob: Client, document: list[Operation]
) -> None:
    """404 for every operation that names another's thing; the words of the refusal tell nothing of the owner."""
    ada, _ = owned
    asked = 0
    for method, path in document:
        if "{" not in path or path.startswith(NOBODYS):
            continue
        unknown = set(_PARAMETER.findall(path)) - ada.ids.keys()
        assert not unknown, f"{method} {path}: say in the fixture `owned` what {unknown} is"
        spelled = ada.filled(path) + QUERIES.get((method, path), "")
        if path.endswith("/upload"):
            refused = bob.http.post(spelled, files={"file": ("a.txt", b"mine")})
        else:
            refused = bob.refused(method, spelled, BODIES.get((method, path)))
        assert refused.status_code == 404, f"{method} {path}: {refused.status_code} {refused.text}"
        assert "user-" not in refused.text
        assert "hushed" not in refused.text
        asked += 1
    assert asked > 40


def test_what_a_query_or_body_names_is_not_there(
    owned: tuple[Owned, Client], bob: Client, document: list[Operation]
) -> None:
    """An agent or archive of another's in a query or body is 404; a search finds nothing of another's."""
    ada, own = owned
    for (method, path), (query, body) in ASKS.items():
        refused = bob.refused(method, path + ada.filled(query), ada.body(body))
        assert refused.status_code == 404, f"{method} {path}: {refused.status_code} {refused.text}"
    for (method, path), body in FINDS.items():
        assert bob.ask(method, path, body) == [], path
        assert own.ask(method, path, body) != [], path
    others = {operation for operation in document if operation[0] != "GET" and "{" not in operation[1]}
    assert "hushed" not in str(bob.ask("POST", "/v1/tools/search", {"query": "hushed"}))
    others.discard(("POST", "/v1/tools/search"))
    left = {each for each in others - MAKES - ASKS.keys() if not each[1].startswith(NOBODYS)}
    assert not left, f"say of each whether it only makes, or what it asks for: {sorted(left)}"


def test_lists_hold_only_what_is_ones_own(
    owned: tuple[Owned, Client], bob: Client, document: list[Operation]
) -> None:
    """Every list and count is empty to who has nothing, and is not to who has something; filters do not help."""
    ada, own = owned
    active = {"/v1/runs/active"}
    for method, path in document:
        if method != "GET" or "{" in path or path.startswith(NOBODYS):
            continue
        if path in TOLD:
            continue
        if path in COUNTED:
            assert bob.ask("GET", path)["sources"] == []
            assert own.ask("GET", path)["total_files"] == 1
            continue
        if path in SHIPPED:
            assert "hushed" not in str(bob.ask("GET", path))
            continue
        query = f"?agent_id={ada.ids['agent_id']}&agent_ids={ada.ids['agent_id']}"
        for asked in (path, path + query):
            assert bob.ask("GET", asked) in ([], {}, 0), asked
        if path not in active:
            assert own.ask("GET", path) not in ([], {}, 0), path


def test_another_cannot_end_what_is_not_theirs(owned: tuple[Owned, Client], bob: Client) -> None:
    """In bulk, by an agent of one's own; in a conversation; as a body of a stream."""
    ada, own = owned
    mine = bob.agent()
    run = ada.ids["run_id"]
    cancelled = bob.ask("POST", f"/v1/agents/{mine}/messages/cancel", {"run_ids": [run]})
    assert cancelled == {run: "failed"}
    path = f"/v1/conversations/{mine}/stream"
    assert bob.refused("POST", path, {"run_id": run}).status_code == 404
    path = "/v1/conversations/default/stream"
    assert bob.refused("POST", path, {"agent_id": ada.ids["agent_id"]}).status_code == 404
    for kind, named in KINDS:
        for verb in ("attach", "detach"):
            answer = bob.http.patch(f"/v1/agents/{mine}/{kind}/{verb}/{ada.ids[named]}")
            assert answer.status_code in {200, 404}
            assert "hushed" not in answer.text
    assert bob.ask("GET", f"/v1/agents/{mine}/core-memory/blocks") == []
    assert own.ask("GET", f"/v1/agents/{ada.ids['agent_id']}/core-memory/blocks") != []
    bob.ask("DELETE", f"/v1/agents/{mine}")
    assert own.run(run)["status"] == "completed"
