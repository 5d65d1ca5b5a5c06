"""Folders and files with letta-client 1.12.1: `python journey_folders_sdk1.py URL`."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass

from journey import DEADLINE_S, all_valid, operation, travel, valid, wait_for
from letta_client import Letta, NotFoundError


@dataclass
class World:
    """The client, and what the journey found so far."""

    client: Letta
    agent_id: str = ""
    folder_id: str = ""


@operation
def a_folder_is_made(world: World) -> None:
    folders = world.client.folders
    made = folders.create(name="folders-1", description="d")
    valid(made)
    world.folder_id = made.id
    assert folders.retrieve(made.id).name == "folders-1"
    assert folders.update(made.id, instructions="Be kind.").instructions == "Be kind."
    assert [f.id for f in folders.list(name="folders-1")] == [made.id]


@operation
def files_are_uploaded(world: World) -> None:
    files = world.client.folders.files
    for number in range(3):
        body = f"A cup of tea, number {number}".encode()
        valid(files.upload(world.folder_id, file=(f"tea-{number}.txt", body)))
    wait_for(lambda: {f.processing_status for f in files.list(world.folder_id)} == {"completed"})
    found = list(files.list(world.folder_id, limit=2, order="asc", include_content=True))
    all_valid(found)
    assert [file.content[-1] for file in found] == ["0", "1", "2"]
    assert files.retrieve(found[0].id, folder_id=world.folder_id).id == found[0].id
    files.delete(found[2].id, folder_id=world.folder_id)
    assert len(list(files.list(world.folder_id))) == 2


@operation
def an_agent_has_the_folder(world: World) -> None:
    agents = world.client.agents
    made = agents.create(name="folders-1", model="openai/story", include_base_tools=False)
    world.agent_id = made.id
    assert agents.folders.attach(world.folder_id, agent_id=made.id) is None
    found = agents.retrieve(made.id, include=["agent.sources", "agent.tools"])
    assert {tool.name for tool in found.tools} == {"open_files", "grep_files", "semantic_search_files"}
    assert [s.id for s in found.sources] == [world.folder_id]
    all_valid(agents.folders.list(made.id))
    files = list(agents.files.list(made.id, limit=1))
    all_valid(files)
    assert [file.folder_name for file in files] == ["folders-1"] * 2
    assert agents.files.open(files[0].file_id, agent_id=made.id) == []
    opened = list(agents.files.list(made.id, is_open=True))
    assert [file.file_id for file in opened] == [files[0].file_id]
    assert "1: A cup of tea" in opened[0].visible_content
    agents.files.close(files[0].file_id, agent_id=made.id)
    assert agents.files.close_all(made.id) == []
    assert list(world.client.folders.agents.list(world.folder_id)) == [made.id]
    assert agents.folders.detach(world.folder_id, agent_id=made.id) is None
    assert list(agents.folders.list(made.id)) == []


@operation
def it_is_deleted(world: World) -> None:
    world.client.folders.delete(world.folder_id)
    try:
        world.client.folders.retrieve(world.folder_id)
    except NotFoundError:
        return
    raise AssertionError("it is still there")


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], timeout=DEADLINE_S)))
