"""An agent's archival memory: what it and its clients wrote down, listed, searched, and taken out again."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, find_record, no_agent
from runstead.api.routes.archives import PassagePath
from runstead.api.wire.archives import (
    ArchivalAnswer,
    ArchivalQuery,
    CreatePassage,
    PassageQuery,
    PassageState,
    archival_found,
    new_passage,
    passage_state,
)
from runstead.api.wire.paging import asked
from runstead.domain.archive import Passage
from runstead.errors import NotFound
from runstead.ids import ArchiveId, PassageId
from runstead.store import agents
from runstead.store import passages as store
from runstead.store.passages import PassageFilter

router = v1_router("agents")


@router.post("/agents/{agent_id}/archival-memory")
@answers(list[PassageState])
async def create_passage(agent_id: AgentPath, body: CreatePassage, caller: Caller, parts: Parts) -> Response:
    """Put a passage into an agent's archive, which is made where it has none. Answers a list of one."""
    agent = (await find_record(parts, caller.user.id, agent_id)).agent
    now, passage_id = parts.clock.now(), PassageId(f"passage-{parts.ids.uuid()}")
    owner = caller.user.id

    def made(archive_id: ArchiveId) -> Passage:
        return new_passage(body, passage_id, owner, archive_id, now)

    stored = await parts.db.write(store.put_for_agent, agent, made, now)
    parts.workshop.memory.written()
    return Json([passage_state(stored, caller.user.organization_id)])


@router.get("/agents/{agent_id}/archival-memory")
@answers(list[PassageState])
async def list_passages(
    agent_id: AgentPath,
    query: Annotated[PassageQuery, asked(PassageQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the passages of all archives that an agent holds, oldest first unless asked otherwise."""
    await find_record(parts, caller.user.id, agent_id)
    where = PassageFilter(agent_id=agent_id, holds=query.search)
    page = replace(query.page(), ascending=query.ascending)
    found = await parts.db.read(store.list_passages, caller.user.id, where, page)
    return Json([passage_state(each, caller.user.organization_id) for each in found])


@router.get("/agents/{agent_id}/archival-memory/search")
@answers(ArchivalAnswer)
async def search_archival_memory(
    agent_id: AgentPath,
    query: Annotated[ArchivalQuery, asked(ArchivalQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """Find passages by their words, and by meaning where there is an embedding model, as the agent's own tool does."""
    if not await parts.db.read(agents.is_agent, caller.user.id, agent_id):
        raise no_agent(agent_id)
    where = PassageFilter(
        agent_id=agent_id,
        tags=tuple(query.tags or ()),
        match_all_tags=query.tag_match_mode == "all",
        since=query.start_datetime,
        until=query.end_datetime,
    )
    found = await parts.workshop.memory.search(parts.db, caller.user.id, query.query, where, query.top_k)
    return Json(ArchivalAnswer(results=[archival_found(each) for each in found], count=len(found)))


@router.delete("/agents/{agent_id}/archival-memory/{passage_id}")
@answers(type(None))
async def delete_passage(
    agent_id: AgentPath, passage_id: PassagePath, caller: Caller, parts: Parts
) -> Response:
    """Take a passage out of an agent's archives."""
    await find_record(parts, caller.user.id, agent_id)
    where = PassageFilter(agent_id=agent_id)
    if not await parts.db.write(store.delete_passage, caller.user.id, passage_id, where):
        raise NotFound(f"Passage {passage_id} not found in the memory of agent {agent_id}")
    return Json(None)
