"""One question to an agent's model, past the agent."""

from __future__ import annotations

from pathlib import Path

from tests.api.conftest import Api
from tests.world import world

from runstead.domain.message import TextPart
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import ScriptedGateway, says

SCHEMA = {"type": "object", "properties": {"ok": {"type": "boolean"}}}


async def test_the_model_sees_nothing_of_the_agent_and_the_agent_nothing_of_it(tmp_path: Path) -> None:
    model = ScriptedGateway([says("Yes."), says('{"ok": true}')])
    async with world(tmp_path, model) as w:
        agent = await w.agent(
            system="SECRET PROMPT", include_base_tools=True, response_format={"type": "text"}
        )
        path = f"/v1/agents/{agent}/generate"
        before = await w.get(f"/v1/agents/{agent}")

        plain = await w.client.post(path, json={"prompt": "Is it so?"})
        body = {"prompt": "Is it?", "system_prompt": "Be brief.", "response_schema": SCHEMA}
        shaped = await w.client.post(path, json=body)

        assert (200, "Yes.", "scripted/model") == (
            plain.status_code,
            plain.json()["content"],
            plain.json()["model"],
        )
        assert plain.json()["usage"]["total_tokens"] > 0
        assert '{"ok": true}' == shaped.json()["content"]
        assert [] == await w.get("/v1/runs/")
        assert before == await w.get(f"/v1/agents/{agent}")
    first, second = model.requests
    assert ("", (), (TextPart("Is it so?"),)) == (first.system, first.tools, first.messages[0].parts)
    assert 1 == len(first.messages)
    assert "Be brief." == second.system
    wanted = second.settings.response_format
    assert wanted is not None
    assert SCHEMA == dict(wanted)["json_schema"]["schema"]  # pyright: ignore[reportIndexIssue]


async def test_what_cannot_be_asked(tmp_path: Path) -> None:
    failing = ScriptedGateway([[ModelError(ModelErrorKind.RATE_LIMIT, "too fast")]])
    async with world(tmp_path, failing) as w:
        path = f"/v1/agents/{await w.agent()}/generate"
        assert 422 == (await w.client.post(path, json={"prompt": ""})).status_code
        assert [] == failing.requests
        refused = await w.client.post(path, json={"prompt": "x"})
        assert (429, "too fast") == (refused.status_code, refused.json()["detail"])


async def test_another_model_is_one_that_is_there(api: Api) -> None:
    agent = await api.agent()
    path = f"/v1/agents/{agent['id']}/generate"
    unknown = await api.json("POST", path, 404, json={"prompt": "x", "override_model": "nobody/x"})
    assert "nobody/x" in unknown["detail"]
