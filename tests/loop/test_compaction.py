"""A conversation that outgrows the model's window: the oldest turns become a summary, and nothing is lost."""

from __future__ import annotations

from pathlib import Path

from tests.world import world

from runstead.domain.tokens import tokens_of
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import Cue, ScriptedGateway, says
from runstead.llm.types import ModelRequest
from runstead.loop.compaction import oldest

LONG = "word " * 400


def speak(request: ModelRequest) -> list[Cue]:
    """Summaries for who asks to condense, long answers for everybody else."""
    return says("They talk about words.") if "condense" in request.system else says(LONG)


async def test_the_oldest_turns_give_way_to_a_summary(tmp_path: Path) -> None:
    """The transcript shows the summary; the model sees it first, and the newest turns whole."""
    gateway = ScriptedGateway(speak)
    async with world(tmp_path, gateway) as w:
        agent = await w.agent(context_window_limit=8000)
        for number in range(30):
            answer = await w.say(agent, f"question {number} {LONG}")
            assert 200 == answer.status_code, answer.text

        asked = [r for r in gateway.requests if "condense" not in r.system]
        largest = max(sum(map(tokens_of, request.messages)) for request in asked)
        history = await w.get(f"/v1/agents/{agent}/messages?limit=1000&order=asc")
        summaries = [m for m in history if m["message_type"] == "summary_message"]

        assert largest < 8000
        assert len(summaries) >= 2
        assert "They talk about words." == summaries[0]["summary"]
        assert 30 == sum(m["message_type"] == "user_message" for m in history)
        last = asked[-1].messages
        assert ["summary", "user"] == [m.role.value for m in last[:2]]
        assert "question 29" in last[-1].text


async def test_a_run_tells_of_its_compaction_where_asked(tmp_path: Path) -> None:
    """The summary is part of the run that needed it; the notice only for who asks."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent(context_window_limit=8000)
        kinds: list[str] = []
        for _ in range(8):
            told = await w.stream(agent, LONG, include_compaction_messages=True)
            kinds += [frame.kind for frame in told]

        assert kinds.count("summary_message") == kinds.count("event_message") > 0
        steps = await w.get("/v1/steps/?limit=100")
        assert all(step["model_ns"] > 0 for step in steps if step["tags"] == ["compaction"])


async def test_one_turn_that_fills_the_window_is_left_to_the_model(tmp_path: Path) -> None:
    """There is nothing older to summarise: the question is asked as it is."""
    gateway = ScriptedGateway(speak)
    async with world(tmp_path, gateway) as w:
        agent = await w.agent(context_window_limit=8000)

        assert 200 == (await w.say(agent, LONG * 20)).status_code
        assert 1 == len(gateway.requests)


def test_nothing_is_oldest_in_nothing() -> None:
    """An empty conversation has no turns to summarise."""
    assert [] == oldest([], 100)


async def test_another_model_may_write_it_with_other_words(tmp_path: Path) -> None:
    """The agent's settings say who summarises, how, and how long; where that model fails, the agent's own does it."""

    def speak_or_fail(request: ModelRequest) -> list[Cue]:
        if request.model == "openai/broken":
            raise ModelError(ModelErrorKind.AUTHENTICATION, "no key")
        return says("A summary." if request.system == "Tell it in rhymes." else LONG)

    gateway = ScriptedGateway(speak_or_fail)
    async with world(tmp_path, gateway) as w:
        settings: dict[str, object] = {
            "model": "openai/small",
            "prompt": "Tell it in rhymes.",
            "clip_chars": 9,
        }
        agent = await w.agent(compaction_settings=settings)
        for number in range(4):
            await w.say(agent, f"question {number}")

        path = f"/v1/agents/{agent}"
        first = (await w.client.post(f"{path}/summarize")).json()
        assert ("A summary", "openai/small") == (first["summary"], gateway.requests[-1].model)
        # A request's own settings: everything goes into the summary.
        for number in range(4, 6):
            await w.say(agent, f"question {number}")
        every = {"prompt": "Tell it in rhymes.", "mode": "all", "model": "openai/broken"}
        second = await w.client.post(f"{path}/summarize", json={"compaction_settings": every})
        assert ("A summary.", 1) == (second.json()["summary"], second.json()["num_messages_after"] - 1)
        assert "question 5" in gateway.requests[-1].messages[-1].text
        steps = await w.get("/v1/steps/?tags=compaction")
        own = (await w.get(path))["model"]
        assert {"openai/small", own} == {step["model_handle"] for step in steps}
        wrong = {"compaction_settings": {"sliding_window_percentage": 30}}
        assert "sliding_window_percentage" in (await w.client.patch(path, json=wrong)).text
