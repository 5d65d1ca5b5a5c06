"""Archives: collections of passages, which agents hold. An agent's own view of them is `archival_memory`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Response

from runstead.api.auth import Caller, Parts, Sdk1
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, details_of, find_record, no_agent
from runstead.api.routes.blocks import HoldersQuery
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.agents import AgentState, agent_state, wanted_relations
from runstead.api.wire.archives import (
    ArchiveQuery,
    ArchiveState,
    CreateArchive,
    CreatePassage,
    CreatePassages,
    PassageFound,
    PassageSearch,
    PassageState,
    UpdateArchive,
    archive_state,
    changes_of,
    new_passage,
    passage_state,
)
from runstead.api.wire.paging import asked
from runstead.domain.actor import User
from runstead.domain.archive import Archive
from runstead.errors import NotFound
from runstead.ids import ArchiveId, PassageId, UserId
from runstead.store import agents, passages
from runstead.store import archives as store
from runstead.store.agents import AgentFilter
from runstead.store.passages import PassageFilter

router = v1_router("archives")

ArchivePath = Annotated[ArchiveId, Path(pattern=f"^archive-{UUID4_PATTERN}$")]
PassagePath = Annotated[PassageId, Path(pattern=f"^passage-{UUID4_PATTERN}$")]


@router.post("/archives/")
@answers(ArchiveState)
async def create_archive(body: CreateArchive, caller: Caller, parts: Parts) -> Response:
    """Make an archive."""
    now = parts.clock.now()
    archive_id = ArchiveId(f"archive-{parts.ids.uuid()}")
    made = Archive(archive_id, caller.user.id, body.name, now, now, body.description, body.model())
    await parts.db.write(store.insert_archive, made)
    return Json(_state(parts, made, caller.user))


@router.get("/archives/")
@answers(list[ArchiveState])
async def list_archives(
    query: Annotated[ArchiveQuery, asked(ArchiveQuery)], caller: Caller, parts: Parts
) -> Response:
    """List archives, newest first unless asked otherwise."""
    found = await parts.db.read(store.list_archives, caller.user.id, query.filter(), query.page())
    return Json([_state(parts, each, caller.user) for each in found])


@router.get("/archives/{archive_id}")
@answers(ArchiveState)
async def retrieve_archive(archive_id: ArchivePath, caller: Caller, parts: Parts) -> Response:
    """Read an archive."""
    found = await _find(parts, caller.user.id, archive_id)
    return Json(_state(parts, found, caller.user))


@router.patch("/archives/{archive_id}")
@answers(ArchiveState)
async def modify_archive(
    archive_id: ArchivePath, body: UpdateArchive, caller: Caller, parts: Parts
) -> Response:
    """Change what is given of an archive."""
    changed = await parts.db.write(
        store.update_archive, caller.user.id, archive_id, changes_of(body), parts.clock.now()
    )
    if changed is None:
        raise no_archive(archive_id)
    parts.workshop.memory.model_changed()
    return Json(_state(parts, changed, caller.user))


@router.delete("/archives/{archive_id}")
@answers(type(None))
async def delete_archive(archive_id: ArchivePath, caller: Caller, parts: Parts) -> Response:
    """Delete an archive with its passages."""
    if not await parts.db.write(store.delete_archive, caller.user.id, archive_id):
        raise no_archive(archive_id)
    return Response(status_code=204)


@router.get("/archives/{archive_id}/agents")
@answers(list[AgentState])
async def list_agents_for_archive(
    archive_id: ArchivePath,
    query: Annotated[HoldersQuery, asked(HoldersQuery)],
    caller: Caller,
    parts: Parts,
    sdk1: Sdk1,
) -> Response:
    """List the agents that hold an archive."""
    await _find(parts, caller.user.id, archive_id)
    where = AgentFilter(archive_id=archive_id)
    found = await parts.db.read(agents.list_records, caller.user.id, where, query.page())
    relations = wanted_relations(query.include, query.include_relationships, sdk1=sdk1)
    return Json([agent_state(each.agent, details_of(parts, each), relations) for each in found])


@router.post("/archives/{archive_id}/passages")
@answers(PassageState)
async def create_passage_in_archive(
    archive_id: ArchivePath, body: CreatePassage, caller: Caller, parts: Parts
) -> Response:
    """Put a passage into an archive."""
    (state,) = await _put(parts, caller.user.id, caller.user.organization_id, archive_id, [body])
    return Json(state)


@router.post("/archives/{archive_id}/passages/batch")
@answers(list[PassageState])
async def create_passages_in_archive(
    archive_id: ArchivePath, body: CreatePassages, caller: Caller, parts: Parts
) -> Response:
    """Put passages into an archive, all or none."""
    user = caller.user
    return Json(await _put(parts, user.id, user.organization_id, archive_id, body.passages))


@router.delete("/archives/{archive_id}/passages/{passage_id}")
@answers(type(None))
async def delete_passage_from_archive(
    archive_id: ArchivePath, passage_id: PassagePath, caller: Caller, parts: Parts
) -> Response:
    """Delete a passage."""
    where = PassageFilter(archive_id=archive_id)
    if not await parts.db.write(passages.delete_passage, caller.user.id, passage_id, where):
        raise NotFound(f"Passage {passage_id} not found in archive {archive_id}")
    return Response(status_code=204)


@router.patch("/agents/{agent_id}/archives/attach/{archive_id}")
@answers(type(None))
async def attach_archive_to_agent(
    agent_id: AgentPath, archive_id: ArchivePath, caller: Caller, parts: Parts
) -> Response:
    """Give an agent an archive. It writes into the first that it was given, and searches all."""
    await find_record(parts, caller.user.id, agent_id)
    if not await parts.db.write(store.attach, caller.user.id, agent_id, archive_id, parts.clock.now()):
        raise no_archive(archive_id)
    parts.workshop.memory.model_changed()
    return Json(None)


@router.patch("/agents/{agent_id}/archives/detach/{archive_id}")
@answers(type(None))
async def detach_archive_from_agent(
    agent_id: AgentPath, archive_id: ArchivePath, caller: Caller, parts: Parts
) -> Response:
    """Take an archive from an agent; the archive stays."""
    await find_record(parts, caller.user.id, agent_id)
    await _find(parts, caller.user.id, archive_id)
    await parts.db.write(store.detach, caller.user.id, agent_id, archive_id)
    return Json(None)


@router.post("/passages/search")
@answers(list[PassageFound])
async def search_passages(body: PassageSearch, caller: Caller, parts: Parts) -> Response:
    """Find passages by words and meaning, the best match first; the newest, where no words are given."""
    user = caller.user
    if body.agent_id is not None and not await parts.db.read(agents.is_agent, user.id, body.agent_id):
        raise no_agent(body.agent_id)
    if body.archive_id is not None:
        await _find(parts, user.id, body.archive_id)
    memory = parts.workshop.memory
    found = await memory.search(parts.db, user.id, body.query or "", body.filter(), body.limit)
    return Json(
        [
            PassageFound(
                passage=passage_state(each.passage, user.organization_id), score=each.score, metadata={}
            )
            for each in found
        ]
    )


def no_archive(archive_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"Archive {archive_id} not found")


def _state(parts: Services, archive: Archive, user: User) -> ArchiveState:
    return archive_state(archive, user.organization_id, parts.workshop.memory.model(archive.embedding))


async def _find(parts: Services, user_id: UserId, archive_id: str) -> Archive:
    found = await parts.db.read(store.find_archive, user_id, archive_id)
    if found is None:
        raise no_archive(archive_id)
    return found


async def _put(
    parts: Services,
    user_id: UserId,
    organization_id: str,
    archive_id: ArchiveId,
    bodies: list[CreatePassage],
) -> list[PassageState]:
    await _find(parts, user_id, archive_id)
    now = parts.clock.now()
    made = [
        new_passage(body, PassageId(f"passage-{parts.ids.uuid()}"), user_id, archive_id, now)
        for body in bodies
    ]
    if made:
        await parts.db.write(passages.put_passages, made)
        parts.workshop.memory.written()
    return [passage_state(passage, organization_id) for passage in made]
