"""Conversations, archives and the rest around them with letta-client 1.12.1: `python journey_memory_sdk1.py URL`."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from journey import DEADLINE_S, all_valid, kinds, numbers, operation, story, travel, valid
from letta_client import APIStatusError, Letta
from letta_client.types.agents import LettaResponse


@dataclass
class World:
    """The client, and what the journey found so far."""

    client: Letta
    agent_id: str = ""
    conversation_id: str = ""
    run_id: str = ""
    archive_id: str = ""


def said(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def refused(status: int, call: Any, *arguments: Any, **options: Any) -> None:
    """The call is answered with that status."""
    try:
        call(*arguments, **options)
    except APIStatusError as error:
        assert error.status_code == status, error
    else:
        raise AssertionError("it was not refused")


@operation
def a_conversation_is_begun(world: World) -> None:
    blocks = [{"label": "human", "value": "Ada"}]
    agent = world.client.agents.create(
        name="talks", model="openai/story", memory_blocks=blocks, tags=["journey-1"]
    )
    world.agent_id = agent.id
    made = world.client.conversations.create(agent_id=agent.id, summary="About tea")
    valid(made)
    world.conversation_id = made.id
    assert world.client.conversations.retrieve(made.id).summary == "About tea"
    listed = world.client.conversations.list(agent_id=agent.id)
    assert [each.id for each in listed] == [made.id]
    changed = world.client.conversations.update(made.id, summary="About coffee")
    assert changed.summary == "About coffee"


@operation
def a_conversation_streams(world: World) -> None:
    stream = world.client.conversations.messages.create(
        world.conversation_id,
        messages=said(story({"text": ["one ", "two"]})),
        stream_tokens=True,
        background=True,
        streaming=True,
    )
    events = list(stream)
    assert kinds(events) == ["assistant_message", "stop_reason", "usage_statistics"]
    world.run_id = events[0].run_id
    again = list(
        world.client.conversations.messages.stream(
            world.conversation_id, run_id=world.run_id, starting_after=2
        )
    )
    assert numbers(again)[0] == 3


@operation
def a_conversation_answers_whole(world: World) -> None:
    # The SDK's own method takes every answer for a stream.
    body = {"messages": said(story({"text": ["three"]})), "streaming": False}
    path = f"/v1/conversations/{world.conversation_id}/messages"
    answer = world.client.post(path, body=body, cast_to=LettaResponse)
    valid(answer)
    assert answer.messages[-1].content == "three"
    runs = list(world.client.runs.list(conversation_id=world.conversation_id))
    assert len(runs) == 2
    assert {run.conversation_id for run in runs} == {world.conversation_id}


@operation
def its_messages_are_listed(world: World) -> None:
    found = world.client.conversations.messages.list(world.conversation_id, limit=2).items
    all_valid(found)
    assert [m.message_type for m in found] == ["assistant_message", "user_message"]
    older = world.client.conversations.messages.list(world.conversation_id, before=found[-1].id).items
    assert older[0].content == "one two"
    everything = list(world.client.conversations.messages.list(world.conversation_id, limit=2, order="asc"))
    assert len(everything) == 5
    own = world.client.conversations.messages.list("default", agent_id=world.agent_id).items
    assert [m.message_type for m in own] == ["system_message"]


@operation
def it_is_compacted_and_recompiled(world: World) -> None:
    client = world.client
    done = client.conversations.messages.compact(world.conversation_id)
    assert done.num_messages_after < done.num_messages_before
    assert "Ada" in client.conversations.recompile(world.conversation_id)
    assert "Ada" in client.agents.recompile(world.agent_id)
    assert client.agents.messages.compact(world.agent_id).num_messages_before == 1


@operation
def it_is_forked_and_deleted(world: World) -> None:
    client = world.client
    fork = client.conversations.fork(world.conversation_id)
    valid(fork)
    assert fork.id != world.conversation_id
    refused(409, client.conversations.cancel, fork.id)
    client.conversations.delete(fork.id)
    refused(404, client.conversations.retrieve, fork.id)


@operation
def passages_of_an_agent(world: World) -> None:
    passages = world.client.agents.passages
    (stored,) = passages.create(world.agent_id, text="Ada likes tea", tags=["drinks"])
    passages.create(world.agent_id, text="Bob likes coffee")
    assert [p.text for p in passages.list(world.agent_id)] == ["Ada likes tea", "Bob likes coffee"]
    found = passages.search(world.agent_id, query="tea", tags=["drinks"])
    valid(found)
    assert [r.content for r in found.results] == ["Ada likes tea"]
    world.archive_id = stored.archive_id
    passages.delete(stored.id, agent_id=world.agent_id)
    assert passages.search(world.agent_id, query="tea").count == 0


@operation
def archives_are_shared(world: World) -> None:
    client = world.client
    made = client.archives.create(name="shared")
    valid(made)
    assert client.archives.update(made.id, description="d").description == "d"
    client.archives.passages.create(made.id, text="water boils at 100")
    many = client.archives.passages.create_many(made.id, passages=[{"text": "ice melts at 0"}])
    client.agents.archives.attach(made.id, agent_id=world.agent_id)
    assert {a.id for a in client.archives.list(agent_id=world.agent_id)} == {made.id, world.archive_id}
    hits = client.passages.search(query="boils", agent_id=world.agent_id)
    assert [hit.passage.text for hit in hits] == ["water boils at 100"]
    client.archives.passages.delete(many[0].id, archive_id=made.id)
    client.agents.archives.detach(made.id, agent_id=world.agent_id)
    client.archives.delete(made.id)
    refused(404, client.archives.retrieve, made.id)


@operation
def looking_back(world: World) -> None:
    client = world.client
    found = client.messages.search(query="three", agent_id=world.agent_id)
    assert any(hit.content == "three" for hit in found)
    newest = client.messages.list(limit=1)
    assert len(newest) >= 1
    assert next(m.id for m in client.messages.retrieve(newest[0].id)) == newest[0].id
    assert "journey-1" in list(client.tags.list())
    (step,) = client.runs.steps.list(world.run_id).items
    assert client.steps.feedback.create(step.id, feedback="positive").feedback == "positive"
    assert client.steps.metrics.retrieve(step.id).run_id == world.run_id
    said_in_it = client.steps.messages.list(step.id).items
    assert [m.content for m in said_in_it] == ["one two"]
    spans = client.runs.trace.retrieve(world.run_id)
    assert [span["span_name"] for span in spans][:2] == ["send_conversation_message", "agent_step"]
    refused(404, client.steps.trace.retrieve, step.id)


@operation
def an_agent_as_a_file(world: World) -> None:
    client = world.client
    file = client.agents.export_file(world.agent_id)
    made = client.agents.import_file(
        file=("agent.af", file.encode()), override_name="twin", append_copy_suffix=False
    )
    twin = client.agents.retrieve(made.agent_ids[0], include=["agent.blocks"])
    assert twin.name == "twin"
    assert [block.value for block in twin.blocks] == ["Ada"]


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], timeout=DEADLINE_S, max_retries=0)))
