"""The tools of an agent over HTTP: named, attached, approved, run; and its secrets, which nobody is told."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import Connection, text
from tests.api.conftest import Api
from tests.api.routes.test_tools import UNKNOWN, made, source_of

from runstead.ids import DEFAULT_USER, AgentId
from runstead.settings import Settings
from runstead.store import secrets
from runstead.store.vault import Vault
from runstead.tools.catalog import tool_id

SDK1 = {"x-stainless-package-version": "1.12.1"}


def names(agent: dict[str, Any]) -> list[str]:
    """The names of an agent's tools."""
    return [tool["name"] for tool in agent["tools"]]


async def test_an_agent_is_made_with_an_actors_tools(api: Api) -> None:
    roll, ask = await made(api), await made(api, "ask", default_requires_approval=True)
    agent = await api.agent(include_base_tools=False, tools=["roll", "run_code"], tool_ids=[ask["id"]])
    assert names(agent) == ["ask", "roll", "run_code"]
    assert agent["tools"][1] == roll
    assert agent["tool_rules"] == [{"type": "requires_approval", "tool_name": "ask"}]
    changed = await api.json(
        "PATCH", f"/v1/agents/{agent['id']}", json={"tool_ids": [roll["id"], tool_id("web_search")]}
    )
    assert names(changed) == ["roll", "web_search"]
    listed = await api.json("GET", "/v1/agents/")
    assert names(listed[0]) == ["roll", "web_search"]


async def test_attach_and_detach(api: Api) -> None:
    roll, agent = await made(api, default_requires_approval=True), await api.agent(include_base_tools=False)
    path = f"/v1/agents/{agent['id']}/tools"
    attached = await api.json("PATCH", f"{path}/attach/{roll['id']}")
    again = await api.json("PATCH", f"{path}/attach/{roll['id']}")
    assert names(attached) == names(again) == ["roll"]
    assert (
        attached["tool_rules"] == again["tool_rules"] == [{"type": "requires_approval", "tool_name": "roll"}]
    )
    assert await api.json("PATCH", f"{path}/attach/{tool_id('run_code')}", headers=SDK1) is None
    assert [tool["name"] for tool in await api.json("GET", path)] == ["run_code", "roll"]
    paged = await api.json("GET", f"{path}?order=asc&limit=1&after={roll['id']}")
    assert [tool["name"] for tool in paged] == ["run_code"]
    await api.json("GET", f"{path}?after={UNKNOWN}", 404)
    detached = await api.json("PATCH", f"{path}/detach/{roll['id']}")
    assert names(detached) == ["run_code"]
    for verb in ("attach", "detach"):
        await api.json("PATCH", f"{path}/{verb}/{UNKNOWN}", 404)


async def test_approval_in_either_form(api: Api) -> None:
    agent = await api.agent(include_base_tools=False, tools=["run_code"])
    path = f"/v1/agents/{agent['id']}/tools/approval/run_code"
    rule = {"type": "requires_approval", "tool_name": "run_code"}
    assert (await api.json("PATCH", f"{path}?requires_approval=true"))["tool_rules"] == [rule]
    both = await api.json("PATCH", f"{path}?requires_approval=true", json={"requires_approval": False})
    assert both["tool_rules"] == []
    # The newer client of TypeScript does not rename the field that it calls so.
    assert await api.json("PATCH", path, json={"body_requires_approval": True}, headers=SDK1) is None
    twice = await api.json("PATCH", path, json={"requires_approval": True})
    assert twice["tool_rules"] == [rule]
    await api.json("PATCH", path, 422)
    missing = await api.json("PATCH", path.replace("run_code", "nope") + "?requires_approval=true", 404)
    assert "Its tools: run_code" in missing["detail"]


async def test_a_renamed_tool_stays_and_a_deleted_one_goes(api: Api) -> None:
    roll = await made(api)
    rules = [{"type": "exit_loop", "tool_name": "roll"}]
    agent = await api.agent(include_base_tools=False, tools=["roll", "run_code"], tool_rules=rules)
    path = f"/v1/agents/{agent['id']}"
    await api.json("PATCH", f"/v1/tools/{roll['id']}", json={"source_code": source_of("throw_it")})
    after = await api.json("GET", path)
    assert names(after) == ["throw_it", "run_code"]
    assert after["tool_rules"] == [{"type": "exit_loop", "tool_name": "throw_it"}]
    await api.json("DELETE", f"/v1/tools/{roll['id']}")
    gone = await api.json("GET", path)
    assert (names(gone), gone["tool_rules"]) == (["run_code"], [])


@pytest.mark.slow
async def test_a_call_is_made_without_a_model(api: Api) -> None:
    await made(api)
    blocks = [{"label": "human", "value": "old"}]
    agent = await api.agent(tools=["roll"], memory_blocks=blocks)
    path = f"/v1/agents/{agent['id']}/tools"
    rolled = await api.json("POST", f"{path}/roll/run", json={"args": {"sides": 4}})
    assert (rolled["status"], rolled["func_return"], rolled["stdout"]) == ("success", "8", [])
    wrong = await api.json("POST", f"{path}/roll/run")
    assert wrong["status"] == "error"
    assert "sides" in wrong["func_return"]
    args = {"label": "human", "new_str": "new"}
    await api.json("POST", f"{path}/memory_insert/run", json={"args": args})
    block = await api.json("GET", f"/v1/agents/{agent['id']}/core-memory/blocks/human")
    assert block["value"] == "old\nnew"
    await api.json("POST", f"{path}/run_code/run", 404, json={"args": {}})


@pytest.mark.slow
async def test_secrets_reach_tools_and_nobody_else(api: Api) -> None:
    source = 'def peek() -> str:\n    """Peek."""\n    import os\n    return ",".join(os.environ.get(n, "-") for n in "AB")'
    await api.json("POST", "/v1/tools/", json={"source_code": source})
    agent = await api.agent(tools=["peek"], secrets={"A": "hush-1", "B": "hush-2"})
    path = f"/v1/agents/{agent['id']}"

    async def peeked() -> str:
        return str((await api.json("POST", f"{path}/tools/peek/run"))["func_return"])

    assert [(each["key"], each["value"]) for each in agent["secrets"]] == [("A", ""), ("B", "")]
    assert await peeked() == "hush-1,hush-2"
    kept = str(await api.db.read(_everything))
    assert "hush" not in kept
    # What a client was answered can be sent back: an empty text keeps the secret, one that is left out is gone.
    changed = await api.json("PATCH", path, json={"tool_exec_environment_variables": {"A": ""}})
    assert [each["key"] for each in changed["secrets"]] == ["A"]
    assert await peeked() == "hush-1,-"
    await api.json("PATCH", path, json={"name": "other"})
    assert await peeked() == "hush-1,-"
    refused = await api.json("PATCH", path, 422, json={"secrets": {"A=B": "hush-3"}})
    assert "hush-3" not in str(refused)


async def test_another_key_opens_nothing(api: Api) -> None:
    source = 'def peek() -> str:\n    """Peek."""\n    return "x"'
    await api.json("POST", "/v1/tools/", json={"source_code": source})
    agent = await api.agent(tools=["peek"])
    other = Vault(Settings(secrets_key=None, data_dir=api.folder / "elsewhere"))
    (api.folder / "elsewhere").mkdir()
    agent_id = AgentId(agent["id"])
    sealed = {"A": other.seal(agent_id, "A", "hush")}
    await api.db.write(secrets.set_secrets, DEFAULT_USER, agent_id, sealed, api.clock.now())
    ran = await api.json("POST", f"/v1/agents/{agent_id}/tools/peek/run")
    assert ran["status"] == "error"
    assert "Give its value anew" in ran["func_return"]


def _everything(conn: Connection) -> list[object]:
    found = [list(conn.execute(text(f"SELECT * FROM {name}"))) for name in ("agents", "agent_secrets")]
    return [*found]
