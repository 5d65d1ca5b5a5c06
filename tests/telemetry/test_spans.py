"""Traces, as a collector gets them: the tree of a run, whose trace it is, and what never stands in it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.collector import Collector, collecting
from tests.world import World, wait_until, world

from runstead.domain.step import Usage
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import CallDelta, Cue, Finish, ScriptedGateway, TextDelta, calls, says
from runstead.settings import Settings

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
CLIENT, INTERNAL, PRODUCER = 3, 1, 4
INSERT = ("memory_insert", '{"label": "human", "new_string": "canary-argument"}')


@pytest.fixture
def collector(monkeypatch: pytest.MonkeyPatch) -> Iterator[Collector]:
    """A collector that servers of this process send to. They send at the latest when they stop."""
    with collecting() as found:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", found.url)
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=one")
        monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
        yield found


def settings(*, content: bool = False) -> Settings:
    return Settings(drain_s=0.0, reconcile_s=0.05, traces=True, trace_content=content)


def two_steps() -> ScriptedGateway:
    """A step that calls a tool, and one that ends the turn."""
    first = calls(INSERT, usage=Usage(20, 5, cached_input_tokens=8, reasoning_tokens=2))
    return ScriptedGateway([first, says("canary-answer", usage=Usage(30, 7))])


async def told(w: World, **headers: str) -> str:
    """One run to its end; the id of it."""
    agent = await w.agent(tools=["memory_insert"], include_base_tools=False)
    body = {"messages": [{"role": "user", "content": "canary-question"}]}
    answer = await w.client.post(f"/v1/agents/{agent}/messages/async", json=body, headers=headers)
    assert answer.status_code == 200, answer.text
    run = await w.ended(answer.json()["id"])
    await wait_until(lambda: w.server.engine.owner.held == 0, "the owner's letting go")
    return run.id


async def test_a_run_of_two_steps_and_a_tool(tmp_path: Path, collector: Collector) -> None:
    """Its tree, with the names, kinds and attributes of the conventions."""
    async with world(tmp_path, two_steps(), settings=settings()) as w:
        run_id = await told(w, traceparent=CALLER)
        steps = await w.get(f"/v1/runs/{run_id}/steps")
    assert collector.tree() == [
        "admit run",
        "  invoke_agent tester",
        "    step",
        "      chat model",
        "      execute_tool memory_insert",
        "    step",
        "      chat model",
    ]
    admitted, invoked = collector.one("admit run"), collector.one("invoke_agent tester")
    assert {span.trace_id for span in collector.spans} == {CALLER.split("-")[1]}
    assert (admitted.parent, admitted.kind) == (CALLER.split("-")[2], PRODUCER)
    assert [step["trace_id"] for step in steps] == [invoked.trace_id] * 2
    assert {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "tester",
        "runstead.run.id": run_id,
        "runstead.run.attempt": 1,
        "runstead.run.status": "completed",
        "runstead.run.stop_reason": "end_turn",
        "runstead.run.tokens": 62,
    }.items() <= invoked.attributes.items()
    assert (invoked.kind, invoked.links, invoked.error) == (INTERNAL, (), None)
    numbers = {
        span.attributes["runstead.step.id"]: span.attributes["runstead.step.number"]
        for span in collector.named("step")
    }
    assert (set(numbers), sorted(map(str, numbers.values()))) == ({step["id"] for step in steps}, ["1", "2"])
    chat, _ = collector.named("chat model")
    first = chat.attributes.pop("gen_ai.response.time_to_first_chunk")
    assert isinstance(first, float) and first >= 0
    assert chat.attributes == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "model",
        "gen_ai.request.stream": True,
        "gen_ai.conversation.id": invoked.attributes["gen_ai.conversation.id"],
        "gen_ai.response.finish_reasons": ["tool_calls"],
        "gen_ai.usage.input_tokens": 20,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    assert chat.kind == CLIENT
    assert collector.one("execute_tool memory_insert").attributes == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "memory_insert",
        "gen_ai.tool.call.id": "call-1",
        "gen_ai.tool.type": "function",
    }
    assert b"canary" not in b"".join(collector.raw), "content is in no span"
    assert collector.headers[0]["x-tenant"] == "one"
    facts = {"service.name": "runstead", "deployment.environment.name": "test"}
    assert facts.items() <= collector.resources[0].items()


async def test_content_is_there_where_it_is_asked_for(tmp_path: Path, collector: Collector) -> None:
    """Questions, answers, arguments and returns."""
    async with world(tmp_path, two_steps(), settings=settings(content=True)) as w:
        await told(w)
    asked, answered = collector.named("chat model")
    assert "canary-question" in str(asked.attributes["gen_ai.input.messages"])
    assert "canary-answer" in str(answered.attributes["gen_ai.output.messages"])
    tool = collector.one("execute_tool memory_insert")
    assert tool.attributes["gen_ai.tool.call.arguments"] == INSERT[1]
    assert tool.attributes["gen_ai.tool.call.result"]


@pytest.mark.parametrize("header", [CALLER, ""])
async def test_another_owner_goes_on_in_the_same_trace(
    tmp_path: Path, collector: Collector, header: str
) -> None:
    """Also after a restart, with a trace of the caller's or without; its span links to the one before it."""
    never = asyncio.Event()
    stuck: list[Cue] = [*calls(INSERT)]
    first = ScriptedGateway([stuck, [TextDelta("half of "), never]])
    headers = {"traceparent": header} if header else {}
    async with world(tmp_path, first, settings=settings()) as w:
        agent = await w.agent(tools=["memory_insert"], include_base_tools=False)
        body = {"messages": [{"role": "user", "content": "x"}]}
        answer = await w.client.post(f"/v1/agents/{agent}/messages/async", json=body, headers=headers)
        run_id = answer.json()["id"]
        await wait_until(lambda: len(first.requests) == 2, "the second question")
    async with world(tmp_path, ScriptedGateway([says("done")]), settings=settings()) as w:
        await w.ended(run_id)
        await wait_until(lambda: w.server.engine.owner.held == 0, "the owner's letting go")

    before, after = collector.named("invoke_agent tester")
    assert len({span.trace_id for span in collector.spans}) == 1
    assert not header or before.trace_id == CALLER.split("-")[1]
    assert before.parent == after.parent == collector.one("admit run").id
    assert after.links == ((before.trace_id, before.id),)
    assert (before.attributes["runstead.run.status"], after.attributes["runstead.run.status"]) == (
        "running",
        "completed",
    )
    assert after.attributes["runstead.run.attempt"] == 2
    assert len(collector.named("chat model")) == 3


async def test_a_call_that_waited_for_a_person_belongs_to_a_resumed_step(
    tmp_path: Path, collector: Collector
) -> None:
    """The run that brings the approval calls the tool before it asks its model."""
    gateway = ScriptedGateway([calls(INSERT), says("done")])
    async with world(tmp_path, gateway, settings=settings()) as w:
        rules = [{"type": "requires_approval", "tool_name": "memory_insert"}]
        agent = await w.agent(tools=["memory_insert"], include_base_tools=False, tool_rules=rules)
        asked = (await w.say(agent, "go")).json()["messages"][-1]
        approval = {"type": "approval", "approve": True, "approval_request_id": asked["id"]}
        done = await w.client.post(f"/v1/agents/{agent}/messages", json={"messages": [approval]})
        assert done.status_code == 200, done.text
        await wait_until(lambda: w.server.engine.owner.held == 0, "the owner's letting go")
    tool = collector.one("execute_tool memory_insert")
    (resumed,) = [span for span in collector.named("step") if span.id == tool.parent]
    assert resumed.attributes["runstead.step.resumed"] is True


async def test_failures_are_errors_by_their_type(tmp_path: Path, collector: Collector) -> None:
    """A model's failure is its answer's, its step's and its run's; a tool's is its own. The words are nobody's."""
    refused = ModelError(ModelErrorKind.RATE_LIMIT, "canary words of the provider", retryable=False)
    nonsense = [CallDelta(0, "c-1", "canary_tool"), CallDelta(0, arguments="{}"), Finish("tool_calls")]
    async with world(tmp_path, ScriptedGateway([nonsense, [refused]]), settings=settings()) as w:
        await told(w)
    _, chat = collector.named("chat model")
    _, step = collector.named("step")
    run = collector.one("invoke_agent tester")
    assert [span.error for span in (chat, step, run)] == ["llm_rate_limit"] * 3
    assert chat.attributes["error.type"] == "llm_rate_limit"
    assert collector.one("execute_tool unknown").error == "tool_error"
    assert b"canary" not in b"".join(collector.raw)


@pytest.mark.slow
async def test_a_collector_that_is_away_hinders_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs end as ever, and so does the server."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    async with world(tmp_path, two_steps(), settings=settings()) as w:
        assert (await w.run(await told(w))).status == "completed"


async def test_a_caller_that_does_not_sample_is_heeded(tmp_path: Path, collector: Collector) -> None:
    """Its flag says that nobody keeps this trace."""
    async with world(tmp_path, two_steps(), settings=settings()) as w:
        await told(w, traceparent=CALLER[:-2] + "00")
    assert collector.spans == []
