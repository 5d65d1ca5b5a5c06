"""Hop 4: from a claimed run to its end, step after step; each step is one model call and the tools it asks for."""

from __future__ import annotations

from pathlib import Path

from tests.world import world

from runstead.llm.scripted import ScriptedGateway, calls, says

REMEMBER = ("memory_insert", '{"label": "human", "new_str": "Likes tea."}')


async def test_a_reply_is_one_step(tmp_path: Path) -> None:
    """The model answers in text, and the run is over."""
    async with world(tmp_path, ScriptedGateway([says("Hello.")])) as w:
        answer = (await w.say(await w.agent(), "hi")).json()

        assert ["Hello."] == [m["content"] for m in answer["messages"]]
        assert "end_turn" == answer["stop_reason"]["stop_reason"]
        assert 1 == answer["usage"]["step_count"]


async def test_a_tool_takes_a_step_more(tmp_path: Path) -> None:
    """The call, what it returned, and the reply that follows from it."""
    async with world(tmp_path, ScriptedGateway([calls(REMEMBER), says("Noted.")])) as w:
        answer = (await w.say(await w.agent(), "I like tea")).json()

        kinds = [m["message_type"] for m in answer["messages"]]
        assert ["tool_call_message", "tool_return_message", "assistant_message"] == kinds
        assert 2 == answer["usage"]["step_count"]


async def test_a_run_takes_no_more_steps_than_it_may(tmp_path: Path) -> None:
    """`max_steps` ends a run that would go on."""
    gateway = ScriptedGateway(lambda _: calls(REMEMBER))
    async with world(tmp_path, gateway) as w:
        answer = (await w.say(await w.agent(), "go on", max_steps=2)).json()

        assert "max_steps" == answer["stop_reason"]["stop_reason"]
        assert 2 == len(gateway.requests)


async def test_the_model_sees_what_was_said_before(tmp_path: Path) -> None:
    """Memory is in the system prompt, history in the messages, tool results behind their calls."""
    gateway = ScriptedGateway([calls(REMEMBER), says("Noted."), says("Tea.")])
    async with world(tmp_path, gateway) as w:
        agent = await w.agent()
        await w.say(agent, "I like tea")
        await w.say(agent, "what do I like?")

        last = gateway.requests[-1]
        assert "Likes tea." in last.system
        assert ["user", "assistant", "tool", "assistant", "user"] == [
            message.role.value for message in last.messages
        ]
