"""Looking into a run: its spans always, what went to the model where the server is told to keep it."""

from __future__ import annotations

from pathlib import Path

from tests.world import World, world

from runstead.clock import ManualClock
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.scripted import Cue, ScriptedGateway, calls, says
from runstead.llm.types import ModelRequest, TextDelta
from runstead.settings import Settings

KEPT_S = 3600.0
KEEPS = Settings(drain_s=0.0, reconcile_s=0.05, provider_trace=True, events_keep_s=KEPT_S)
KEY = "sk-abcdefghijkl"


def speak(request: ModelRequest) -> list[Cue]:
    """Search first; fail when told to."""
    last = request.messages[-1]
    if "fail" in last.text:
        return [TextDelta("So"), ModelError(ModelErrorKind.OTHER, "It broke.")]
    if last.role.value == "user":
        return calls(("conversation_search", '{"query": "x"}'), text="Let me see.")
    return says("Found.", thought="Hm.")


async def steps_of(w: World, agent: str) -> list[str]:
    """The steps of an agent's newest run, oldest first."""
    (run,) = await w.get(f"/v1/runs/?agent_id={agent}&limit=1")
    return [step["id"] for step in await w.get(f"/v1/runs/{run['id']}/steps?order=asc")]


async def test_what_went_out_and_came_back(tmp_path: Path) -> None:
    """Of each step, in the form of Chat Completions, under both names; what looks like a key is not in it."""
    async with world(tmp_path, ScriptedGateway(speak), settings=KEEPS) as w:
        agent = await w.agent()
        await w.say(agent, f"look for {KEY}")
        first, second = await steps_of(w, agent)

        trace = await w.get(f"/v1/steps/{first}/trace")
        last = await w.get(f"/v1/telemetry/{second}")

        assert trace["id"] == f"provider_trace-{first.removeprefix('step-')}"
        assert (first, agent) == (trace["step_id"], trace["agent_id"])
        assert "look for …" == trace["request_json"]["messages"][-1]["content"]
        assert KEY not in str(trace) + str(last)
        assert "conversation_search" in [t["function"]["name"] for t in trace["request_json"]["tools"]]
        (choice,) = trace["response_json"]["choices"]
        assert "Let me see." == choice["message"]["content"]
        assert "conversation_search" == choice["message"]["tool_calls"][0]["function"]["name"]
        (choice,) = last["response_json"]["choices"]
        assert ("Found.", "Hm.") == (choice["message"]["content"], choice["message"]["reasoning"])
        assert "tool" == last["request_json"]["messages"][-1]["role"]
        await w.say(agent, "fail")
        (broken,) = await steps_of(w, agent)
        response = (await w.get(f"/v1/steps/{broken}/trace"))["response_json"]
        assert "It broke." in response["error"]["message"]
        assert "So" == response["choices"][0]["message"]["content"]


async def test_traces_are_kept_as_long_as_events(tmp_path: Path) -> None:
    """Then there is null; and none outlives its run or its agent."""
    clock = ManualClock()
    async with world(tmp_path, ScriptedGateway(lambda _: says("x")), settings=KEEPS, clock=clock) as w:
        agent, other = await w.agent(), await w.agent()
        await w.say(agent, "one")
        (old,) = await steps_of(w, agent)
        clock.advance(KEPT_S + 1)
        await w.server.engine.owner.renew()
        await w.say(agent, "two")
        (new,) = await steps_of(w, agent)
        await w.say(other, "three")
        (others,) = await steps_of(w, other)

        assert 1 == (await w.server.retention.sweep()).traces

        assert await w.get(f"/v1/steps/{old}/trace") is None
        assert await w.get(f"/v1/steps/{new}/trace") is not None
        (run, *_) = await w.get(f"/v1/runs/?agent_id={agent}")
        await w.client.delete(f"/v1/runs/{run['id']}")
        await w.client.delete(f"/v1/agents/{other}")
        assert await w.get(f"/v1/steps/{new}/trace") is None
        assert await w.get(f"/v1/steps/{others}/trace") is None


async def test_usually_nothing_is_kept_and_the_answer_names_the_setting(tmp_path: Path) -> None:
    """404 for a step that is there, and for one that is not."""
    async with world(tmp_path, ScriptedGateway(lambda _: says("x"))) as w:
        agent = await w.agent()
        await w.say(agent, "one")
        (step,) = await steps_of(w, agent)

        off = await w.get(f"/v1/steps/{step}/trace", 404)

        assert "RUNSTEAD_PROVIDER_TRACE=true" in off["detail"]
        await w.get("/v1/telemetry/step-00000000-0000-4000-8000-000000000000", 404)


async def test_where_the_time_of_a_run_went(tmp_path: Path) -> None:
    """The run, its steps, first tokens and tools as spans that know their parents; as many as are asked for."""
    async with world(tmp_path, ScriptedGateway(speak)) as w:
        agent = await w.agent()
        await w.say(agent, "look")
        (run,) = await w.get(f"/v1/runs/?agent_id={agent}&limit=1")

        spans = await w.get(f"/v1/runs/{run['id']}/trace")

        assert [
            "send_message", "agent_step", "time_to_first_token", "tool_execution", "agent_step",
            "time_to_first_token",
        ] == [span["span_name"] for span in spans]  # fmt: skip
        root, step, first, tool, *_ = spans
        assert run["id"] == root["attributes"]["run_id"]
        assert [root["span_id"]] * 2 == [
            each["parent_span_id"] for each in spans if each["span_name"] == "agent_step"
        ]
        assert step["span_id"] == first["parent_span_id"] == tool["parent_span_id"]
        assert len(spans) == len({span["span_id"] for span in spans})
        assert root["start_time_ns"] <= step["start_time_ns"] <= tool["start_time_ns"]
        assert spans[:2] == await w.get(f"/v1/runs/{run['id']}/trace?limit=2")
        await w.get(f"/v1/runs/{run['id']}/trace?limit=5001", 422)
        await w.get("/v1/runs/run-00000000-0000-4000-8000-000000000000/trace", 404)
