"""Chat Completions with an agent as the model: whole answers, pieces, memory, and what cannot be said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
from tests.world import World, world

from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest


def speak(request: ModelRequest) -> list[Cue]:
    """Use a tool where asked to, fail where asked to, answer everything else."""
    last = request.messages[-1]
    if last.role.value == "user" and "fail" in last.text:
        return [ModelError(ModelErrorKind.AUTHENTICATION, "no key")]
    if last.role.value == "user" and "learn" in last.text:
        return calls(("memory_insert", '{"label": "human", "new_str": "Ada"}'), text="Let me see.")
    return says("Yes it is.")


async def ask(w: World, agent: str, *said: tuple[str, Any], **more: object) -> Any:
    """What a request is answered."""
    messages = [{"role": role, "content": content} for role, content in said]
    body = {"model": agent, "messages": messages, **more}
    return await w.client.post("/v1/chat/completions", json=body)


def pieces(text: str) -> list[dict[str, Any]]:
    """The pieces of a streamed answer, without the end."""
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    assert lines.pop() == "[DONE]"
    return [orjson.loads(line) for line in lines]


async def test_a_whole_answer(tmp_path: Path) -> None:
    """One choice with all that was said; the run says what it was made by."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        answer = (await ask(w, agent, ("system", "Be kind."), ("user", "learn"))).json()

        assert answer["object"] == "chat.completion"
        assert answer["model"] == agent
        (choice,) = answer["choices"]
        assert choice["message"]["content"] == "Let me see.\nYes it is."
        assert choice["finish_reason"] == "stop"
        assert answer["usage"]["total_tokens"] > 0
        (run,) = await w.get("/v1/runs/")
        assert run["metadata"]["run_type"] == "openai_chat_completions"
        assert answer["id"] == run["id"].replace("run-", "chatcmpl-")


async def test_an_answer_in_pieces(tmp_path: Path) -> None:
    """The pieces say what the whole answer says; the last one why it ended."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        found = pieces((await ask(w, agent, ("user", "learn"), stream=True)).text)

        deltas = [each["choices"][0]["delta"] for each in found]
        assert deltas[0]["role"] == "assistant"
        assert "".join(d.get("content", "") for d in deltas) == "Let me see.\nYes it is."
        assert [each["choices"][0]["finish_reason"] for each in found][-1] == "stop"
        assert len({each["id"] for each in found}) == 1


async def test_pieces_end_with_what_it_cost_where_that_is_wanted(tmp_path: Path) -> None:
    """The last piece has no choice but the usage, as of the whole answer; the others say that it is not known yet."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        wanted = {"include_usage": True}
        *others, last = pieces((await ask(w, agent, ("user", "hi"), stream=True, stream_options=wanted)).text)

        assert [] == last["choices"]
        assert last["usage"]["total_tokens"] == sum(
            last["usage"][each] for each in ("prompt_tokens", "completion_tokens")
        )
        assert last["usage"]["total_tokens"] > 0
        assert others
        assert {None} == {each["usage"] for each in others}


async def test_only_what_is_new_is_said(tmp_path: Path) -> None:
    """A client sends all that was said; the agent remembers it, so it hears what came last only. Images are heard, too."""
    gateway = ScriptedGateway(speak)
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        await ask(w, agent, ("user", "one"))
        image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
        new = [{"type": "text", "text": "three"}, image]
        await ask(w, agent, ("user", "one"), ("assistant", "Yes it is."), ("user", "two"), ("user", new))

        assert [m.text for m in gateway.requests[-1].messages] == ["one", "Yes it is.", "two", "three"]
        picture = gateway.requests[-1].messages[-1].parts[1]
        assert (getattr(picture, "media_type", None), getattr(picture, "data", None)) == ("image/png", "AAAA")


async def test_what_cannot_be_answered_says_so(tmp_path: Path) -> None:
    """No such agent, nothing new, a kind of content that is not taken; a model's failure, whole and in pieces."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        assert (await ask(w, "agent-x", ("user", "hi"))).status_code == 404
        assert (await ask(w, agent, ("user", "hi"), ("assistant", "ho"))).status_code == 400
        audio = [{"type": "input_audio", "input_audio": {}}]
        assert (await ask(w, agent, ("user", audio))).status_code == 400
        assert (await ask(w, agent, ("user", "hi"), n=2)).status_code == 422
        assert (await ask(w, agent, ("user", "fail"))).status_code == 401
        found = pieces((await ask(w, agent, ("user", "fail"), stream=True)).text)
        assert found[0]["error"]["type"] == "llm_authentication"
