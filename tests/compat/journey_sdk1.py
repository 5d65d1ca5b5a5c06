"""The journey of letta-client 1.12.1 through a running server: `python journey_sdk1.py URL`, in that SDK's environment."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from journey import (
    DEADLINE_S,
    RUNS,
    all_valid,
    halved,
    in_order,
    joined,
    kinds,
    numbers,
    opening,
    operation,
    story,
    tokens,
    travel,
    valid,
    wait_for,
)
from letta_client import APIStatusError, Letta
from letta_client.types import AgentState, Step, ToolReturnMessage
from letta_client.types.agents import (
    ApprovalRequestMessage,
    AssistantMessage,
    LettaResponse,
    Run,
)
from letta_client.types.agents.letta_streaming_response import (
    LettaPing,
    LettaStopReason,
    LettaUsageStatistics,
)
from letta_client.types.runs.usage_retrieve_response import UsageRetrieveResponse

ROLL = '''
def roll_one(sides: int) -> str:
    """Roll one die.

    Args:
        sides (int): How many sides it has.
    """
    import os

    print("rolling")
    return f"rolled {sides} by {os.environ.get('LUCK')}"
'''


@dataclass
class World:
    """The client, and what the journey found so far."""

    client: Letta
    agent_id: str = ""
    run_id: str = ""


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def new_agent(world: World, **fields: Any) -> AgentState:
    return world.client.agents.create(name="sdk-one", model="openai/story", **fields)


def whole(world: World, run_id: str) -> Run:
    """The run, once it is over."""
    wait_for(lambda: world.client.runs.retrieve(run_id).status not in {"created", "running"})
    return world.client.runs.retrieve(run_id)


@operation
def create_an_agent(world: World) -> None:
    agent = new_agent(world, memory_blocks=[{"label": "human", "value": "Ada"}])
    assert isinstance(agent, AgentState)
    valid(agent)
    world.agent_id = agent.id
    again = world.client.agents.retrieve(agent.id, include=["agent.blocks"])
    assert again.id == agent.id
    assert [block.value for block in again.blocks] == ["Ada"]
    assert agent.id in [each.id for each in world.client.agents.list(limit=50)]


@operation
def blocking_message(world: World) -> None:
    answer = world.client.agents.messages.create(
        world.agent_id, messages=said(story({"reasoning": ["hm"], "text": tokens(3)}))
    )
    assert isinstance(answer, LettaResponse)
    valid(answer)
    assert kinds(answer.messages) == ["reasoning_message", "assistant_message"]
    assert answer.messages[-1].content == joined(3)
    assert answer.stop_reason.stop_reason == "end_turn"
    assert answer.usage.total_tokens > 0


@operation
def step_streamed_message(world: World) -> None:
    events = list(
        world.client.agents.messages.create(
            world.agent_id,
            messages=said(story({"reasoning": ["hm"], "text": tokens(3)})),
            streaming=True,
        )
    )
    all_valid(events)
    assert isinstance(events[0], LettaPing)
    assert kinds(events) == [
        "reasoning_message",
        "assistant_message",
        "stop_reason",
        "usage_statistics",
    ]
    assert isinstance(events[-3], AssistantMessage)
    assert isinstance(events[-2], LettaStopReason)
    assert isinstance(events[-1], LettaUsageStatistics)
    assert in_order(events)


@operation
def token_streamed_message(world: World) -> None:
    events = list(
        world.client.agents.messages.create(
            world.agent_id, messages=said(story({"text": tokens(20)})), streaming=True, stream_tokens=True
        )
    )
    all_valid(events)
    pieces = [event for event in events if isinstance(event, AssistantMessage)]
    assert len(pieces) == 20
    assert "".join(piece.content for piece in pieces) == joined(20)
    assert len({piece.id for piece in pieces}) == 1


@operation
def background_message(world: World) -> None:
    events = list(
        world.client.agents.messages.create(
            world.agent_id,
            messages=said(story({"text": tokens(5)})),
            streaming=True,
            stream_tokens=True,
            background=True,
        )
    )
    all_valid(events)
    assert in_order(events)
    world.run_id = events[0].run_id
    assert whole(world, world.run_id).background is True


@operation
def async_message(world: World) -> None:
    run = world.client.agents.messages.create_async(world.agent_id, messages=said(story({"text": tokens(4)})))
    assert isinstance(run, Run)
    valid(run)
    over = whole(world, run.id)
    valid(over)
    assert over.status == "completed"
    assert list(world.client.runs.messages.list(run.id))[-1].content == joined(4)


@operation
def retrieve_messages_steps_usage(world: World) -> None:
    runs = world.client.runs
    run = runs.retrieve(world.run_id)
    valid(run)
    assert (run.id, run.status, run.agent_id) == (world.run_id, "completed", world.agent_id)
    messages = list(runs.messages.list(world.run_id))
    all_valid(messages)
    assert kinds(messages) == ["user_message", "assistant_message"]
    assert messages[-1].content == joined(5)
    steps = list(runs.steps.list(world.run_id))
    all_valid(steps)
    assert [type(step) for step in steps] == [Step]
    usage = runs.usage.retrieve(world.run_id)
    assert isinstance(usage, UsageRetrieveResponse)
    valid(usage)
    assert usage.total_tokens == steps[0].total_tokens == usage.prompt_tokens + usage.completion_tokens


@operation
def attach_in_the_middle_of_a_live_run(world: World) -> None:
    first: list[Any] = []
    gate = f"middle-{world.agent_id}"
    opener = new_agent(world)
    for event in world.client.agents.messages.create(
        world.agent_id,
        messages=said(story({"text": halved(40, gate)})),
        streaming=True,
        stream_tokens=True,
        background=True,
    ):
        first.append(event)
        if len(first) == 10:
            break
    run_id = first[0].run_id
    assert world.client.runs.retrieve(run_id).status == "running"
    assert run_id in [run.id for run in world.client.runs.list(agent_id=world.agent_id, active=True)]
    rest: list[Any] = []
    for event in world.client.runs.messages.stream(run_id, starting_after=first[-1].seq_id):
        if not rest:
            world.client.agents.messages.create(opener.id, messages=said(opening(gate)))
        rest.append(event)
    all_valid(rest)
    events = [*first, *rest]
    assert in_order(events)
    pieces = [event.content for event in events if isinstance(event, AssistantMessage)]
    assert "".join(pieces) == joined(40)
    world.run_id = run_id


@operation
def attach_after_the_end(world: World) -> None:
    events = list(world.client.runs.messages.stream(world.run_id, starting_after=0))
    all_valid(events)
    assert in_order(events)
    assert kinds(events)[-2:] == ["stop_reason", "usage_statistics"]
    last = events[-1].seq_id
    assert numbers(world.client.runs.messages.stream(world.run_id, starting_after=last - 2)) == [
        last - 1,
        last,
    ]
    assert list(world.client.runs.messages.stream(world.run_id, starting_after=last)) == []


@operation
def cancel(world: World) -> None:
    events: list[Any] = []
    for event in world.client.agents.messages.create(
        world.agent_id,
        messages=said(story({"text": ["half ", {"silence": True}]})),
        streaming=True,
        stream_tokens=True,
        background=True,
        timeout=DEADLINE_S,
    ):
        events.append(event)
        if isinstance(event, AssistantMessage):
            answer = world.client.agents.messages.cancel(world.agent_id, run_ids=[event.run_id])
            assert answer == {event.run_id: "cancelled"}
    assert kinds(events) == ["assistant_message", "stop_reason", "usage_statistics"]
    assert events[-2].stop_reason == "cancelled"
    assert whole(world, events[0].run_id).status == "cancelled"


@operation
def decide_calls_in_the_newer_form(world: World) -> None:
    rule = {"type": "requires_approval", "tool_name": "conversation_search"}
    for approve, status in ((False, "error"), (True, "success")):
        agent = new_agent(world, tool_rules=[rule], tools=["conversation_search"])
        call = {"name": "conversation_search", "arguments": {"query": "x"}}
        asked = world.client.agents.messages.create(
            agent.id, messages=said(story({"calls": [call]}, {"text": ["well then"]}))
        )
        assert asked.stop_reason.stop_reason == "requires_approval"
        request = asked.messages[-1]
        assert isinstance(request, ApprovalRequestMessage)
        decision = {"type": "approval", "tool_call_id": request.tool_call.tool_call_id}
        answer = world.client.agents.messages.create(
            agent.id,
            messages=[{"type": "approval", "approvals": [{**decision, "approve": approve}]}],
        )
        all_valid(answer.messages)
        returned = [each for each in answer.messages if isinstance(each, ToolReturnMessage)]
        assert [each.status for each in returned] == [status]
        assert answer.messages[-1].content == "well then"


@operation
def tools_from_source(world: World) -> None:
    tools = world.client.tools
    tool = tools.upsert(source_code=ROLL, tags=["dice"], return_char_limit=100)
    valid(tool)
    assert (tool.name, tool.tool_type, tool.tags) == ("roll_one", "custom", ["dice"])
    assert tools.create(source_code=ROLL).id == tool.id
    assert tools.retrieve(tool.id).json_schema["parameters"]["required"] == ["sides"]
    assert tools.update(tool.id, description="Better.").description == "Better."
    assert [each.id for each in tools.list(name="roll_one")] == [tool.id]
    names = [each.name for each in tools.list(limit=3)]
    assert len(names) == len(set(names)) > 10
    assert tools.search(query="roll one")[0].tool.id == tool.id
    agent = new_agent(world, tools=["roll_one", "web_search"], secrets={"LUCK": "4"})
    call = {"name": "roll_one", "arguments": {"sides": 6}}
    answer = world.client.agents.messages.create(
        agent.id, messages=said(story({"calls": [call]}, {"text": ["done"]}))
    )
    returned = [each for each in answer.messages if isinstance(each, ToolReturnMessage)]
    assert [(each.status, each.tool_return) for each in returned] == [("success", "rolled 6 by 4")]
    assert returned[0].stdout == ["rolling\n"]
    ran = world.client.agents.tools.run("roll_one", agent_id=agent.id, args={"sides": 3})
    assert (ran.status, ran.func_return) == ("success", "rolled 3 by 4")
    assert world.client.agents.tools.detach(tool.id, agent_id=agent.id) is None
    assert world.client.agents.tools.attach(tool.id, agent_id=agent.id) is None
    world.client.agents.tools.update_approval("roll_one", agent_id=agent.id, body_requires_approval=True)
    listed = [each.name for each in world.client.agents.tools.list(agent.id)]
    assert listed[0] == "roll_one"
    rules = world.client.agents.retrieve(agent.id).tool_rules
    assert [(rule.type, rule.tool_name) for rule in rules] == [("requires_approval", "roll_one")]
    assert tools.delete(tool.id) is None


@operation
def list_with_each_filter(world: World) -> None:
    def ids(**filters: Any) -> list[str]:
        found = list(world.client.runs.list(agent_id=world.agent_id, **filters))
        all_valid(found)
        return [run.id for run in found]

    every = ids()
    assert len(every) == len(set(every)) == 7
    assert ids(order="asc") == every[::-1]
    assert ids(order="desc") == every
    assert ids(ascending=True) == every[::-1]
    assert ids(limit=2) == every, "the pager goes on to the end"
    assert ids(after=every[2]) == every[3:]
    assert len(ids(stop_reason="cancelled")) == 1
    assert ids(statuses=["cancelled"]) == ids(stop_reason="cancelled")
    assert sorted(ids(statuses=["cancelled", "completed"])) == sorted(every)
    assert ids(statuses=["failed"]) == ids(active=True) == []
    assert ids(conversation_id="conv-00000000-0000-4000-8000-000000000000") == []
    background, foreground = ids(background=True), ids(background=False)
    assert world.run_id in background
    assert sorted([*background, *foreground]) == sorted(every)
    by_agents = world.client.runs.list(agent_ids=[world.agent_id])
    assert [run.id for run in by_agents] == every


@operation
def page_over_120_runs(world: World) -> None:
    agent = new_agent(world)
    made = [
        world.client.agents.messages.create_async(agent.id, messages=said("hello")).id for _ in range(RUNS)
    ]
    for order, expected in (("asc", made), ("desc", made[::-1])):
        found = world.client.runs.list(agent_id=agent.id, limit=25, order=order)
        assert [run.id for run in found] == expected
    wait_for(lambda: not list(world.client.runs.list(agent_id=agent.id, active=True)))


@operation
def delete(world: World) -> None:
    """This SDK has no name for it, but its plain requests do what its users do."""
    gone = world.client.delete(f"/v1/runs/{world.run_id}", cast_to=Run)
    assert isinstance(gone, Run)
    assert gone.id == world.run_id
    try:
        world.client.runs.retrieve(world.run_id)
    except APIStatusError as error:
        assert error.status_code == 404
    else:
        raise AssertionError("a deleted run is still there")


@operation
def model_errors_raise(world: World) -> None:
    agent = new_agent(world)
    try:
        world.client.agents.messages.create(agent.id, messages=said(story({"status": 401})))
    except APIStatusError as error:
        assert error.status_code == 401
    else:
        raise AssertionError("the model's error was swallowed")


@operation
def a_failed_stream_raises(world: World) -> None:
    agent = new_agent(world)
    events = []
    try:
        for event in world.client.agents.messages.create(
            agent.id, messages=said(story({"text": ["so "], "status": 500})), streaming=True
        ):
            events += [event]
    except APIStatusError as error:
        assert error.status_code == 200
        assert kinds(events) == []
    else:
        raise AssertionError("the model's error was swallowed")


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], timeout=DEADLINE_S, max_retries=0)))
