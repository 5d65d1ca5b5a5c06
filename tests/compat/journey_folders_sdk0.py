"""Folders, sources and files with letta-client 0.1.324: `python journey_folders_sdk0.py URL`."""
# pyright: basic, reportMissingImports=false, reportAttributeAccessIssue=false, reportCallIssue=false, reportArgumentType=false

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

from journey import DEADLINE_S, all_valid, operation, travel, valid, wait_for
from letta_client import Letta
from letta_client.core.api_error import ApiError


@dataclass
class World:
    """The client, and what the journey found so far."""

    client: Letta
    agent_id: str = ""
    folder_id: str = ""


def gone(call: Any, *arguments: Any) -> None:
    """The call is answered 404."""
    try:
        call(*arguments)
    except ApiError as error:
        assert error.status_code == 404, error
    else:
        raise AssertionError("it is still there")


@operation
def a_folder_is_made(world: World) -> None:
    folders = world.client.folders
    made = folders.create(name="folders-0", description="d")
    valid(made)
    world.folder_id = made.id
    assert folders.retrieve(made.id).name == "folders-0"
    assert folders.retrieve_by_name("folders-0") == made.id
    assert folders.modify(made.id, instructions="Be kind.").instructions == "Be kind."
    assert made.id in [f.id for f in folders.list()]
    assert folders.count() >= 1


@operation
def a_file_is_uploaded(world: World) -> None:
    files = world.client.folders.files
    came = files.upload(world.folder_id, file=("tea.txt", b"A cup of tea"), duplicate_handling="error")
    valid(came)
    wait_for(lambda: files.list(world.folder_id)[0].processing_status == "completed")
    (file,) = files.list(world.folder_id, include_content=True)
    valid(file)
    assert (file.content, file.total_chunks) == ("A cup of tea", 1)
    all_valid(world.client.folders.passages.list(world.folder_id))


@operation
def an_agent_has_the_folder(world: World) -> None:
    agents = world.client.agents
    made = agents.create(name="folders-0", model="openai/story", include_base_tools=False)
    world.agent_id = made.id
    given = agents.folders.attach(made.id, world.folder_id)
    assert {tool.name for tool in given.tools} == {"open_files", "grep_files", "semantic_search_files"}
    assert [s.id for s in given.sources] == [world.folder_id]
    all_valid(agents.folders.list(made.id))
    page = agents.files.list(made.id)
    valid(page)
    (file,) = page.files
    assert agents.files.open(made.id, file.file_id) == []
    (block,) = agents.retrieve(made.id).memory.file_blocks
    valid(block)
    assert "1: A cup of tea" in block.value
    agents.files.close(made.id, file.file_id)
    assert agents.files.close_all(made.id) == []
    assert world.client.folders.agents.list(world.folder_id) == [made.id]
    assert agents.folders.detach(made.id, world.folder_id).tools == []


@operation
def sources_are_folders(world: World) -> None:
    sources, agents = world.client.sources, world.client.agents
    made = sources.create(name="sources-0")
    valid(made)
    assert sources.retrieve(made.id).name == "sources-0"
    assert sources.retrieve_by_name("sources-0") == made.id
    came = sources.files.upload(made.id, file=("coffee.txt", b"coffee"))
    wait_for(lambda: sources.files.list(made.id)[0].processing_status == "completed")
    all_valid(sources.passages.list(made.id))
    assert [s.id for s in agents.sources.attach(world.agent_id, made.id).sources] == [made.id]
    assert [s.id for s in agents.sources.list(world.agent_id)] == [made.id]
    assert agents.sources.detach(world.agent_id, made.id).sources == []
    sources.files.delete(made.id, came.id)
    assert sources.files.list(made.id) == []
    sources.delete(made.id)
    gone(sources.retrieve, made.id)


@operation
def it_is_deleted(world: World) -> None:
    world.client.folders.delete(world.folder_id)
    gone(world.client.folders.retrieve, world.folder_id)


if __name__ == "__main__":
    travel(World(Letta(base_url=sys.argv[1], timeout=DEADLINE_S)))
