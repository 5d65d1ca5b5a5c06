"""The journey of letta-client 0.1.324 through a running server: `python journey_sdk0.py URL`, in that SDK's environment."""
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
from letta_client import (
    AgentState,
    ApprovalCreate,
    ApprovalRequestMessage,
    AssistantMessage,
    Letta,
    LettaPing,
    LettaResponse,
    LettaStopReason,
    LettaUsageStatistics,
    MessageCreate,
    RequiresApprovalToolRule,
    Run,
    Step,
    ToolReturnMessage,
    UsageStatistics,
)
from letta_client.client import BaseTool
from letta_client.core.api_error import ApiError
from pydantic import BaseModel


@dataclass
class World:
    """The client, and what the journey found so far."""

    client: Letta
    agent_id: str = ""
    run_id: str = ""


def said(text: str) -> list[MessageCreate]:
    return [MessageCreate(role="user", content=text)]


def new_agent(world: World, **fields: Any) -> AgentState:
    return world.client.agents.create(
        name="sdk-zero", model="openai/story", embedding="openai/text-embedding-3-small", **fields
    )


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
    again = world.client.agents.retrieve(agent.id)
    assert again.id == agent.id
    assert [block.value for block in again.memory.blocks] == ["Ada"]
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
        world.client.agents.messages.create_stream(
            world.agent_id, messages=said(story({"reasoning": ["hm"], "text": tokens(3)}))
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
        world.client.agents.messages.create_stream(
            world.agent_id, messages=said(story({"text": tokens(20)})), stream_tokens=True
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
        world.client.agents.messages.create_stream(
            world.agent_id,
            messages=said(story({"text": tokens(5)})),
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
    assert over.metadata["result"]["messages"][-1]["content"] == joined(4)


@operation
def retrieve_messages_steps_usage(world: World) -> None:
    runs = world.client.runs
    run = runs.retrieve(world.run_id)
    valid(run)
    assert (run.id, run.status, run.agent_id) == (world.run_id, "completed", world.agent_id)
    messages = runs.messages.list(world.run_id)
    all_valid(messages)
    assert kinds(messages) == ["user_message", "assistant_message"]
    assert messages[-1].content == joined(5)
    steps = runs.steps.list(world.run_id)
    all_valid(steps)
    assert [type(step) for step in steps] == [Step]
    usage = runs.usage.retrieve(world.run_id)
    assert isinstance(usage, UsageStatistics)
    valid(usage)
    assert usage.total_tokens == steps[0].total_tokens == usage.prompt_tokens + usage.completion_tokens


@operation
def attach_in_the_middle_of_a_live_run(world: World) -> None:
    first: list[Any] = []
    gate = f"middle-{world.agent_id}"
    opener = new_agent(world)
    for event in world.client.agents.messages.create_stream(
        world.agent_id,
        messages=said(story({"text": halved(40, gate)})),
        stream_tokens=True,
        background=True,
    ):
        first.append(event)
        if len(first) == 10:
            break
    run_id = first[0].run_id
    assert world.client.runs.retrieve(run_id).status == "running"
    assert run_id in [run.id for run in world.client.runs.list_active(agent_id=world.agent_id)]
    assert run_id in [run.id for run in world.client.runs.list(agent_id=world.agent_id, active=True)]
    rest: list[Any] = []
    for event in world.client.runs.stream(run_id, starting_after=first[-1].seq_id):
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
    events = list(world.client.runs.stream(world.run_id, starting_after=0))
    all_valid(events)
    assert in_order(events)
    assert kinds(events)[-2:] == ["stop_reason", "usage_statistics"]
    last = events[-1].seq_id
    assert numbers(world.client.runs.stream(world.run_id, starting_after=last - 2)) == [last - 1, last]
    assert list(world.client.runs.stream(world.run_id, starting_after=last)) == []


@operation
def cancel(world: World) -> None:
    events: list[Any] = []
    for event in world.client.agents.messages.create_stream(
        world.agent_id,
        messages=said(story({"text": ["half ", {"silence": True}]})),
        stream_tokens=True,
        background=True,
        request_options={"timeout_in_seconds": int(DEADLINE_S)},
    ):
        events.append(event)
        if isinstance(event, AssistantMessage):
            answer = world.client.agents.messages.cancel(world.agent_id, run_ids=[event.run_id])
            assert answer == {event.run_id: "cancelled"}
    assert kinds(events) == ["assistant_message", "stop_reason", "usage_statistics"]
    assert events[-2].stop_reason == "cancelled"
    assert whole(world, events[0].run_id).status == "cancelled"


@operation
def deny_a_call_in_the_older_form(world: World) -> None:
    rule = RequiresApprovalToolRule(tool_name="conversation_search")
    agent = new_agent(world, tool_rules=[rule])
    call = {"name": "conversation_search", "arguments": {"query": "x"}}
    asked = world.client.agents.messages.create(
        agent.id, messages=said(story({"calls": [call]}, {"text": ["well then"]}))
    )
    assert asked.stop_reason.stop_reason == "requires_approval"
    request = asked.messages[-1]
    assert isinstance(request, ApprovalRequestMessage)
    assert request.tool_call.name == "conversation_search"
    answer = world.client.agents.messages.create(
        agent.id,
        messages=[ApprovalCreate(approve=False, approval_request_id=request.id, reason="no")],
    )
    all_valid(answer.messages)
    returned = [each for each in answer.messages if isinstance(each, ToolReturnMessage)]
    assert [each.status for each in returned] == ["error"]
    assert answer.messages[-1].content == "well then"


def roll_two(sides: int, label: str = "die") -> str:
    """
    Roll two dice.

    Args:
        sides (int): How many sides each has.
        label (str): What they are called.

    Returns:
        str: What came of it.
    """
    print("rolling")
    return f"rolled two {label} of {sides}"


class Item(BaseModel):
    sku: str
    name: str


class Entry(BaseModel):
    item: Item
    count: int


class EntryData(BaseModel):
    data: Entry
    change: int


class ManageInventory(BaseTool):
    name: str = "manage_inventory"
    args_schema: type[BaseModel] = EntryData
    description: str = "Update the inventory."
    tags: list[str] = ["shop"]

    def run(self, data: Entry, change: int) -> bool:
        print(f"{data.item.name}: {data.count} + {change}")
        return True


@operation
def tools_from_functions_and_classes(world: World) -> None:
    tools = world.client.tools
    tool = tools.upsert_from_function(func=roll_two, tags=["dice"], return_char_limit=100)
    valid(tool)
    assert (tool.name, tool.description, tool.tags) == ("roll_two", "Roll two dice.", ["dice"])
    assert tool.json_schema["parameters"]["required"] == ["sides"]
    assert tools.create_from_function(func=roll_two).id == tool.id
    shop = tools.add(tool=ManageInventory())
    valid(shop)
    assert shop.json_schema["parameters"]["properties"]["data"]["properties"]["count"]["type"] == "integer"
    data = {"item": {"sku": "1", "name": "tea"}, "count": 2}
    ran = tools.run_tool_from_source(
        source_code=shop.source_code, args={"data": data, "change": 3}, args_json_schema=shop.args_json_schema
    )
    assert (ran.status, ran.tool_return, ran.stdout) == ("success", "True", ["tea: 2 + 3\n"])
    agent = new_agent(world, tool_ids=[tool.id], include_base_tools=False)
    assert [each.name for each in agent.tools] == ["roll_two"]
    call = {"name": "roll_two", "arguments": {"sides": 6}}
    answer = world.client.agents.messages.create(
        agent.id, messages=said(story({"calls": [call]}, {"text": ["done"]}))
    )
    returned = [each for each in answer.messages if isinstance(each, ToolReturnMessage)]
    assert [(each.status, each.tool_return) for each in returned] == [("success", "rolled two die of 6")]
    attached = world.client.agents.tools.attach(agent.id, shop.id)
    assert [each.name for each in attached.tools] == ["roll_two", "manage_inventory"]
    approving = world.client.agents.tools.modify_approval(agent.id, "roll_two", requires_approval=True)
    assert [(rule.type, rule.tool_name) for rule in approving.tool_rules] == [
        ("requires_approval", "roll_two")
    ]
    detached = world.client.agents.tools.detach(agent.id, shop.id)
    assert [each.name for each in detached.tools] == ["roll_two"]
    assert [each.id for each in tools.list(name="roll_two")] == [tool.id]
    assert tools.count(tool_types=["custom"], search="roll_two") == 1
    assert {"run_code", "web_search"} <= {each.name for each in tools.upsert_base_tools()}
    assert tools.modify(tool.id, description="Better.").description == "Better."
    tools.delete(tool.id)
    tools.delete(shop.id)


@operation
def list_with_each_filter(world: World) -> None:
    runs, agent_id = world.client.runs, world.agent_id
    every = runs.list(agent_id=agent_id, limit=100)
    all_valid(every)
    ids = [run.id for run in every]
    assert len(ids) == len(set(ids)) == 7
    assert [run.id for run in runs.list(agent_ids=[agent_id])] == ids
    assert [run.id for run in runs.list(agent_id=agent_id, ascending=True)] == ids[::-1]
    assert [run.id for run in runs.list(agent_id=agent_id, limit=2)] == ids[:2]
    assert [run.id for run in runs.list(agent_id=agent_id, after=ids[2])] == ids[3:]
    assert [run.id for run in runs.list(agent_id=agent_id, before=ids[3], limit=2)] == ids[1:3]
    cancelled = runs.list(agent_id=agent_id, stop_reason="cancelled")
    assert [run.status for run in cancelled] == ["cancelled"]
    background = {run.id for run in runs.list(agent_id=agent_id, background=True)}
    foreground = {run.id for run in runs.list(agent_id=agent_id, background=False)}
    assert world.run_id in background
    assert len(foreground) >= 3
    assert background | foreground == set(ids)
    assert not background & foreground
    assert runs.list(agent_id=agent_id, active=True) == []
    assert runs.list_active(agent_id=agent_id) == []


@operation
def page_over_120_runs(world: World) -> None:
    agent = new_agent(world)
    made = [
        world.client.agents.messages.create_async(agent.id, messages=said("hello")).id for _ in range(RUNS)
    ]
    for ascending, expected in ((True, made), (False, made[::-1])):
        found: list[str] = []
        while page := world.client.runs.list(
            agent_id=agent.id, limit=25, ascending=ascending, after=found[-1] if found else None
        ):
            found += [run.id for run in page]
        assert found == expected
    wait_for(lambda: not world.client.runs.list(agent_id=agent.id, active=True))


@operation
def delete(world: World) -> None:
    before = world.client.agents.messages.list(world.agent_id, limit=100)
    gone = world.client.runs.delete(world.run_id)
    assert isinstance(gone, Run)
    assert gone.id == world.run_id
    for use in (world.client.runs.retrieve, world.client.runs.delete):
        try:
            use(world.run_id)
        except ApiError as error:
            assert error.status_code == 404
        else:
            raise AssertionError("a deleted run is still there")
    after = world.client.agents.messages.list(world.agent_id, limit=100)
    assert [message.id for message in after] == [message.id for message in before]


@operation
def model_errors_raise(world: World) -> None:
    agent = new_agent(world)
    try:
        world.client.agents.messages.create(agent.id, messages=said(story({"status": 401})))
    except ApiError as error:
        assert error.status_code == 401
    else:
        raise AssertionError("the model's error was swallowed")


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], timeout=DEADLINE_S)))
