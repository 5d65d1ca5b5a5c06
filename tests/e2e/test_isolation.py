"""An actor sees its own, on every route: another's agents, runs, messages and streams are not there."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.serving import STOP_S, Client, Server, run_id_in, saying, story
from tests.story_model import StoryModel

PASSWORD = "long-enough-to-be-one"


def new_user(client: Client, name: str) -> str:
    """A user of an organization of its own."""
    organization = client.ask("POST", "/v1/admin/orgs/", {"name": f"{name}'s"})["id"]
    body = {"name": name, "organization_id": organization}
    return str(client.ask("POST", "/v1/admin/users/", body)["id"])


@pytest.fixture
def ada(server: Server, client: Client) -> Iterator[Client]:
    """A client of one user."""
    with server.client(user_id=new_user(client, "ada")) as speaking:
        yield speaking


@pytest.fixture
def bob(server: Server, client: Client) -> Iterator[Client]:
    """A client of another."""
    with server.client(user_id=new_user(client, "bob")) as speaking:
        yield speaking


def test_what_another_has_is_not_there(ada: Client, bob: Client) -> None:
    """404 for every way to read, use or end what another actor has; and nothing of it in a list."""
    agent = ada.agent()
    frames = ada.sent(agent, story({"text": ["secret"]}), background=True)
    run_id = run_id_in(frames)
    steps = ada.ask("GET", f"/v1/runs/{run_id}/steps")
    for method, path, body in (
        ("GET", f"/v1/agents/{agent}", None),
        ("PATCH", f"/v1/agents/{agent}", {"name": "mine"}),
        ("DELETE", f"/v1/agents/{agent}", None),
        ("GET", f"/v1/agents/{agent}/messages", None),
        ("GET", f"/v1/agents/{agent}/core-memory/blocks", None),
        ("POST", f"/v1/agents/{agent}/messages", saying("hello")),
        ("POST", f"/v1/agents/{agent}/messages/stream", saying("hello")),
        ("POST", f"/v1/agents/{agent}/messages/async", saying("hello")),
        ("POST", f"/v1/agents/{agent}/messages/cancel", None),
        ("GET", f"/v1/runs/{run_id}", None),
        ("GET", f"/v1/runs/{run_id}/messages", None),
        ("GET", f"/v1/runs/{run_id}/steps", None),
        ("GET", f"/v1/runs/{run_id}/usage", None),
        ("GET", f"/v1/runs/{run_id}/metrics", None),
        ("POST", f"/v1/runs/{run_id}/stream", {}),
        ("DELETE", f"/v1/runs/{run_id}", None),
        ("GET", f"/v1/steps/{steps[0]['id']}", None),
    ):
        refused = bob.refused(method, path, body)
        assert refused.status_code == 404, f"{method} {path}: {refused.text}"
        assert "user-" not in refused.text
    assert bob.ask("GET", "/v1/agents/") == []
    assert bob.ask("GET", "/v1/runs/") == []
    assert bob.ask("GET", f"/v1/runs/?agent_id={agent}") == []
    cancelled = bob.ask("POST", f"/v1/agents/{agent}/messages/cancel", {"run_ids": [run_id]})
    assert cancelled == {run_id: "failed"}
    assert ada.run(run_id)["status"] == "completed"
    assert [run["id"] for run in ada.ask("GET", "/v1/runs/")] == [run_id]


TOOL = '''
def peek(secret: str = "ada's") -> str:
    """Peek.

    Args:
        secret (str): What it says.
    """
    return secret
'''


def test_tools_of_another_are_not_there(ada: Client, bob: Client) -> None:
    """404 for every way to read, change, attach or run them; the same name is another tool for another actor."""
    tool = ada.ask("POST", "/v1/tools/", {"source_code": TOOL})
    agent = ada.agent(tools=["peek"], secrets={"A": "b"})
    own = bob.agent()
    for method, path, body in (
        ("GET", f"/v1/tools/{tool['id']}", None),
        ("PATCH", f"/v1/tools/{tool['id']}", {"description": "mine"}),
        ("DELETE", f"/v1/tools/{tool['id']}", None),
        ("GET", f"/v1/tools/?after={tool['id']}", None),
        ("GET", f"/v1/agents/{agent}/tools", None),
        ("PATCH", f"/v1/agents/{agent}/tools/attach/{tool['id']}", None),
        ("PATCH", f"/v1/agents/{agent}/tools/detach/{tool['id']}", None),
        ("PATCH", f"/v1/agents/{agent}/tools/approval/peek?requires_approval=true", None),
        ("POST", f"/v1/agents/{agent}/tools/peek/run", {"args": {}}),
        ("PATCH", f"/v1/agents/{agent}", {"secrets": {}}),
        ("PATCH", f"/v1/agents/{own}/tools/attach/{tool['id']}", None),
        ("PATCH", f"/v1/agents/{own}/tools/detach/{tool['id']}", None),
        ("PATCH", f"/v1/agents/{own}", {"tool_ids": [tool["id"]]}),
        ("POST", "/v1/agents/", {"model": "openai/story", "tools": ["peek"]}),
        ("POST", "/v1/agents/", {"model": "openai/story", "tool_ids": [tool["id"]]}),
    ):
        refused = bob.refused(method, path, body)
        assert refused.status_code == 404, f"{method} {path}: {refused.text}"
    for path in (f"/v1/tools/?tool_ids={tool['id']}", "/v1/tools/?name=peek", "/v1/tools/?tool_types=custom"):
        assert bob.ask("GET", path) == []
    assert bob.ask("GET", "/v1/tools/count?tool_types=custom") == 0
    assert bob.ask("POST", "/v1/tools/search", {"query": "peek"}) == []
    mine = bob.ask("PUT", "/v1/tools/", {"source_code": TOOL.replace("ada's", "bob's")})
    assert mine["id"] != tool["id"]
    bob.ask("DELETE", f"/v1/tools/{mine['id']}")
    ran = ada.ask("POST", f"/v1/agents/{agent}/tools/peek/run", {"args": {}})
    assert (ran["status"], ran["func_return"]) == ("success", "ada's")
    assert [each["key"] for each in ada.ask("GET", f"/v1/agents/{agent}")["secrets"]] == ["A"]


def test_unknown_actors_are_refused(server: Server) -> None:
    """A user that does not exist is 404, a malformed one 400; nobody falls back to the default user."""
    with server.client(user_id="user-00000000-0000-4000-8000-00000000dead") as nobody:
        assert nobody.refused("GET", "/v1/runs/").status_code == 404
    with server.client(user_id="bogus") as bogus:
        assert bogus.refused("GET", "/v1/runs/").status_code == 400


def test_a_password_closes_every_route(model: StoryModel, folder: Path) -> None:
    """401 on all but health; the password opens all, in both spellings, and may act for any user."""
    with Server(folder, model.url, RUNSTEAD_SERVER_PASSWORD=PASSWORD) as own:
        with own.client() as nobody:
            for path in ("/v1/runs/", "/v1/agents/", "/v1/models/", "/v1/admin/users/"):
                assert nobody.refused("GET", path).status_code == 401, path
            assert nobody.ask("GET", "/v1/health/")["status"] == "ok"
        with own.client(authorization=f"Bearer {PASSWORD}") as admin:
            user = new_user(admin, "ada")
            admin.agent()
        with own.client(**{"x-bare-password": f"password {PASSWORD}", "user_id": user}) as ada:
            assert ada.ask("GET", "/v1/agents/") == []


def test_a_key_is_its_users(model: StoryModel, folder: Path) -> None:
    """Once there is a key, a key is needed; it acts for its user only, and ends when it is revoked."""
    folder.mkdir()
    with Server(folder, model.url) as own:
        with own.client() as open_still:
            user = new_user(open_still, "ada")
        key = keys(folder, "create", "laptop", "--user", user)
        with own.client(authorization=f"Bearer {key}") as ada:
            agent = ada.agent()
            assert [each["id"] for each in ada.ask("GET", "/v1/agents/")] == [agent]
            headers = {"user_id": "user-00000000-0000-4000-8000-000000000000"}
            assert ada.refused("GET", "/v1/agents/", headers=headers).status_code == 403
            assert ada.refused("GET", "/v1/admin/users/").status_code == 403
        with own.client(authorization="Bearer rs-wrong") as nobody:
            assert nobody.refused("GET", "/v1/agents/").status_code == 401
        assert key not in own.log


def keys(folder: Path, *arguments: str) -> str:
    """What the command line says about keys, and of that the key."""
    command = [sys.executable, "-m", "runstead", "keys", *arguments]
    done = subprocess.run(
        [*command, "--data-dir", str(folder / "data")],
        capture_output=True,
        text=True,
        timeout=STOP_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(word for word in done.stdout.split() if word.startswith("rs-"))
