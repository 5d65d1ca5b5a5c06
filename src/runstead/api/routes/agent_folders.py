"""The folders of an agent, and which of their files it has open. The folders themselves are `folders`."""

from __future__ import annotations

from typing import Annotated

from fastapi import Response

from runstead.api.auth import Caller, Parts, Sdk1
from runstead.api.router import Json, answers, v1_router
from runstead.api.routes.agents import AgentPath, answer_changed, find_record
from runstead.api.routes.folders import FilePath, FolderPath, no_file
from runstead.api.services import Services
from runstead.api.wire.agents import AgentState
from runstead.api.wire.folders import (
    AttachedFileQuery,
    AttachedFilesState,
    FolderState,
    HeldFolderQuery,
    attached_files_state,
    folder_state,
)
from runstead.api.wire.paging import asked
from runstead.domain.folder import StoredFile, Window
from runstead.ids import UserId
from runstead.store import agent_folders as store
from runstead.store import files, folders, open_files
from runstead.store.files import FileFilter
from runstead.store.folders import FolderFilter
from runstead.store.open_files import FileView

router = v1_router("agents")


@router.get("/agents/{agent_id}/sources", deprecated=True)
@router.get("/agents/{agent_id}/folders")
@answers(list[FolderState])
async def list_folders_for_agent(
    agent_id: AgentPath,
    query: Annotated[HeldFolderQuery, asked(HeldFolderQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the folders that an agent holds, newest first unless asked otherwise."""
    await find_record(parts, caller.user.id, agent_id)
    where = FolderFilter(agent_id=agent_id)
    found = await parts.db.read(folders.list_folders, caller.user.id, where, query.page())
    return Json([folder_state(each, caller.user.organization_id) for each in found])


@router.patch("/agents/{agent_id}/sources/attach/{folder_id}", deprecated=True)
@router.patch("/agents/{agent_id}/folders/attach/{folder_id}")
@answers(AgentState | None)
async def attach_folder_to_agent(
    agent_id: AgentPath, folder_id: FolderPath, caller: Caller, parts: Parts, sdk1: Sdk1
) -> Response:
    """Give an agent a folder, and with it the tools that look into files."""
    record = await parts.db.write(store.attach, caller.user.id, agent_id, folder_id, parts.clock.now())
    return answer_changed(parts, agent_id, record, sdk1)


@router.patch("/agents/{agent_id}/sources/detach/{folder_id}", deprecated=True)
@router.patch("/agents/{agent_id}/folders/detach/{folder_id}")
@answers(AgentState | None)
async def detach_folder_from_agent(
    agent_id: AgentPath, folder_id: FolderPath, caller: Caller, parts: Parts, sdk1: Sdk1
) -> Response:
    """Take a folder from an agent; the folder stays. With the last one go the tools that look into files."""
    record = await parts.db.write(store.detach, caller.user.id, agent_id, folder_id, parts.clock.now())
    return answer_changed(parts, agent_id, record, sdk1)


@router.get("/agents/{agent_id}/files")
@answers(AttachedFilesState)
async def list_files_for_agent(
    agent_id: AgentPath,
    query: Annotated[AttachedFileQuery, asked(AttachedFileQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the files of an agent's folders, newest first unless asked otherwise, with what it sees of those it has open."""
    record = await find_record(parts, caller.user.id, agent_id)
    where = FileFilter(agent_id=agent_id, is_open=query.is_open)
    found = await parts.db.read(files.list_files, caller.user.id, where, query.page())
    windows: dict[str, Window] = {window.file.id: window for window in record.windows}
    return Json(attached_files_state(found, windows, query.limit))


@router.patch("/agents/{agent_id}/files/close-all")
@answers(list[str])
async def close_all_files_for_agent(agent_id: AgentPath, caller: Caller, parts: Parts) -> Response:
    """Close every file for an agent; answers the names of those that were open."""
    await find_record(parts, caller.user.id, agent_id)
    closed = await parts.db.write(open_files.close_all, caller.user.id, agent_id)
    return Json([file.path for file in closed])


@router.patch("/agents/{agent_id}/files/{file_id}/open")
@answers(list[str])
async def open_file_for_agent(
    agent_id: AgentPath, file_id: FilePath, caller: Caller, parts: Parts
) -> Response:
    """Open a file for an agent, from its first line on; answers the names of those that were closed for it."""
    record = await find_record(parts, caller.user.id, agent_id)
    view = FileView(await _held_file(parts, caller.user.id, agent_id, file_id))
    closed = await parts.db.write(open_files.open_views, record.agent, [view], parts.clock.now())
    return Json([file.path for file in closed])


@router.patch("/agents/{agent_id}/files/{file_id}/close")
@answers(dict[str, str])
async def close_file_for_agent(
    agent_id: AgentPath, file_id: FilePath, caller: Caller, parts: Parts
) -> Response:
    """Close a file for an agent; one that is closed already changes nothing."""
    await find_record(parts, caller.user.id, agent_id)
    file = await _held_file(parts, caller.user.id, agent_id, file_id)
    await parts.db.write(open_files.close, agent_id, file)
    return Json({"message": f"File id={file_id} successfully closed"})


async def _held_file(parts: Services, user_id: UserId, agent_id: str, file_id: str) -> StoredFile:
    """A file of one of an agent's folders. Raises `NotFound`."""
    found = await parts.db.read(files.find_file, user_id, file_id)
    held = await parts.db.read(folders.list_held_ids, user_id, agent_id)
    if found is None or found.folder_id not in held:
        raise no_file(file_id)
    return found
