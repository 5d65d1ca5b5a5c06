"""Archival memory and the rest around it with letta-client 0.1.324: `python journey_memory_sdk0.py URL`."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from journey import DEADLINE_S, all_valid, operation, story, travel, valid
from letta_client import Letta, MessageCreate
from letta_client.core.api_error import ApiError


@dataclass
class World:
    """The client, and what the journey found so far."""

    client: Letta
    agent_id: str = ""
    identity_id: str = ""


def refused(status: int, call: Any, *arguments: Any, **options: Any) -> None:
    """The call is answered with that status."""
    try:
        call(*arguments, **options)
    except ApiError as error:
        assert error.status_code == status, error
    else:
        raise AssertionError("it was not refused")


@operation
def an_agent_that_said_something(world: World) -> None:
    agent = world.client.agents.create(name="memory", model="openai/story", tags=["journey-0"])
    world.agent_id = agent.id
    message = MessageCreate(role="user", content=story({"text": ["tea it is"]}))
    world.client.agents.messages.create(agent.id, messages=[message])


@operation
def passages_of_an_agent(world: World) -> None:
    passages = world.client.agents.passages
    (stored,) = passages.create(world.agent_id, text="Ada likes tea", tags=["drinks"])
    passages.create(world.agent_id, text="Bob likes coffee")
    all_valid(passages.list(world.agent_id))
    found = passages.search(world.agent_id, query="tea", tags=["drinks"])
    assert [r.content for r in found.results] == ["Ada likes tea"]
    passages.delete(world.agent_id, stored.id)
    assert [p.text for p in passages.list(world.agent_id)] == ["Bob likes coffee"]


@operation
def archives_by_name(world: World) -> None:
    made = world.client.archives.create_archive(name="notes")
    valid(made)
    changed = world.client.archives.modify_archive(made.id, description="d")
    assert changed.description == "d"
    assert [a.id for a in world.client.archives.list_archives(name="notes")] == [made.id]


@operation
def identities_of_a_journey(world: World) -> None:
    identities = world.client.identities
    made = identities.create(
        identifier_key="sdk-0", name="Ada", identity_type="user", agent_ids=[world.agent_id]
    )
    valid(made)
    world.identity_id = made.id
    assert [a.id for a in identities.agents.list(made.id)] == [world.agent_id]
    assert identities.retrieve(made.id).agent_ids == [world.agent_id]
    assert identities.upsert(identifier_key="sdk-0", name="Eve", identity_type="other").id == made.id
    assert identities.modify(made.id, name="Ada").name == "Ada"
    identities.properties.upsert(made.id, request=[{"key": "age", "value": 36, "type": "number"}])
    assert [p.value for p in identities.list(identifier_key="sdk-0")[0].properties] == [36]
    assert [a.id for a in world.client.agents.list(identifier_keys=["sdk-0"])] == [world.agent_id]
    identities.delete(made.id)
    refused(404, identities.retrieve, made.id)


@operation
def looking_back(world: World) -> None:
    client = world.client
    found = client.agents.messages.search(query="tea it", roles=["assistant"])
    assert any(hit.embedded_text == "tea it is" for hit in found)
    assert "journey-0" in client.tags.list()
    (step,) = client.steps.list(agent_id=world.agent_id)
    assert client.steps.feedback.create(step.id, feedback="negative").feedback == "negative"
    assert client.steps.metrics.retrieve(step.id).llm_request_ns > 0
    assert [m.content for m in client.steps.messages.list(step.id)] == ["tea it is"]
    context = client.agents.context.retrieve(world.agent_id)
    assert context.num_messages == 3
    assert context.num_archival_memory == 1
    assert "openai" in {provider.name for provider in client.providers.list()}


@operation
def a_provider_of_ones_own(world: World) -> None:
    providers = world.client.providers
    given = {"api_key": "sk-0123456789", "base_url": "http://127.0.0.1:9/v1"}
    made = providers.create(name="journey", provider_type="vllm", **given)
    assert (made.provider_category, made.api_key, made.base_url) == ("byok", None, given["base_url"])
    assert made.id in {each.id for each in providers.list(name="journey")}
    assert providers.retrieve_provider(made.id).name == "journey"
    assert providers.modify(made.id, api_key="sk-9876543210").base_url == given["base_url"]
    refused(409, providers.create, name="openai", provider_type="vllm", **given)
    refused(502, providers.check, provider_type="vllm", **given)
    providers.delete(made.id)
    refused(404, providers.retrieve_provider, made.id)


@operation
def an_agent_as_a_file(world: World) -> None:
    client = world.client
    file = client.agents.export_file(world.agent_id)
    text = file if isinstance(file, str) else __import__("json").dumps(file)
    made = client.agents.import_file(file=("agent.af", text.encode()), append_copy_suffix=True)
    assert client.agents.retrieve(made.agent_ids[0]).name == "memory_copy"
    said = client.agents.messages.list(made.agent_ids[0])
    assert "tea it is" in [m.content for m in said]


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], timeout=DEADLINE_S)))
