"""Folders and their files. A source is a folder under its older name: the same rows, the same answers."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from fastapi import File, Path, Response, UploadFile

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.actors import UUID4_PATTERN
from runstead.api.wire.archives import PassageState, passage_state
from runstead.api.wire.folders import (
    FileQuery,
    FileState,
    FolderAgentQuery,
    FolderPassageQuery,
    FolderQuery,
    FolderState,
    OneFileQuery,
    SourceCreate,
    SourceQuery,
    SourceUpdate,
    StatsQuery,
    StatsState,
    UploadQuery,
    changes_of_folder,
    file_state,
    folder_state,
    new_folder,
    stats_state,
)
from runstead.api.wire.paging import asked
from runstead.domain.folder import Folder, StoredFile
from runstead.errors import Invalid, NotFound, TooLarge
from runstead.ids import FileId, FolderId, UserId
from runstead.store import agent_folders, agents, files, passages
from runstead.store import folders as store
from runstead.store.agent_folders import no_folder
from runstead.store.agents import AgentFilter
from runstead.store.files import FileFilter
from runstead.store.passages import PassageFilter

router = v1_router("folders")

FILE_NAME_CHARS_MAX = 255
FolderPath = Annotated[FolderId, Path(pattern=f"^source-{UUID4_PATTERN}$")]
FilePath = Annotated[FileId, Path(pattern=f"^file-{UUID4_PATTERN}$")]


@router.post("/sources/", deprecated=True)
@router.post("/folders/")
@answers(FolderState)
async def create_folder(body: SourceCreate, caller: Caller, parts: Parts) -> Response:
    """Make a folder."""
    folder_id = FolderId(f"source-{parts.ids.uuid()}")
    made = new_folder(body, folder_id, caller.user.id, parts.clock.now())
    await parts.db.write(store.insert_folder, made)
    return Json(folder_state(made, caller.user.organization_id))


@router.get("/folders/")
@answers(list[FolderState])
async def list_folders(
    query: Annotated[FolderQuery, asked(FolderQuery)], caller: Caller, parts: Parts
) -> Response:
    """List folders, oldest first unless asked otherwise."""
    found = await parts.db.read(store.list_folders, caller.user.id, query.filter(), query.page())
    return Json([folder_state(each, caller.user.organization_id) for each in found])


@router.get("/sources/", deprecated=True)
@answers(list[FolderState])
async def list_sources(
    query: Annotated[SourceQuery, asked(SourceQuery)], caller: Caller, parts: Parts
) -> Response:
    """List folders, oldest first."""
    found = await parts.db.read(store.list_folders, caller.user.id, query.filter(), query.page())
    return Json([folder_state(each, caller.user.organization_id) for each in found])


@router.get("/sources/count", deprecated=True)
@router.get("/folders/count")
@answers(int)
async def count_folders(caller: Caller, parts: Parts) -> Response:
    """Count folders."""
    return Json(await parts.db.read(store.count_folders, caller.user.id))


@router.get("/sources/metadata", deprecated=True)
@router.get("/folders/metadata")
@answers(StatsState)
async def retrieve_folders_metadata(
    query: Annotated[StatsQuery, asked(StatsQuery)], caller: Caller, parts: Parts
) -> Response:
    """Read how much is in the folders."""
    found = await parts.db.read(files.stats, caller.user.id)
    detailed = query.include_detailed_per_source_metadata
    each = await parts.db.read(files.all_files, caller.user.id) if detailed else []
    return Json(stats_state(found, each))


@router.get("/sources/name/{folder_name:path}", deprecated=True)
@router.get("/folders/name/{folder_name:path}")
@answers(str)
async def retrieve_folder_id_by_name(folder_name: str, caller: Caller, parts: Parts) -> Response:
    """Read the id of the folder that has a name."""
    found = await parts.db.read(store.find_by_name, caller.user.id, folder_name)
    if found is None:
        raise NotFound(f"Folder with name={folder_name} not found")
    return Json(found.id)


@router.get("/sources/{folder_id}", deprecated=True)
@router.get("/folders/{folder_id}")
@answers(FolderState)
async def retrieve_folder(folder_id: FolderPath, caller: Caller, parts: Parts) -> Response:
    """Read a folder."""
    found = await find_folder(parts, caller.user.id, folder_id)
    return Json(folder_state(found, caller.user.organization_id))


@router.patch("/sources/{folder_id}", deprecated=True)
@router.patch("/folders/{folder_id}")
@answers(FolderState)
async def modify_folder(folder_id: FolderPath, body: SourceUpdate, caller: Caller, parts: Parts) -> Response:
    """Change what is given of a folder."""
    values = changes_of_folder(body)
    changed = await parts.db.write(store.update_folder, caller.user.id, folder_id, values, parts.clock.now())
    if changed is None:
        raise no_folder(folder_id)
    return Json(folder_state(changed, caller.user.organization_id))


@router.delete("/sources/{folder_id}", deprecated=True)
@router.delete("/folders/{folder_id}")
@answers(type(None))
async def delete_folder(folder_id: FolderPath, caller: Caller, parts: Parts) -> Response:
    """Delete a folder with its files, and take it from every agent that holds it."""
    user_id = caller.user.id
    if not await parts.db.write(agent_folders.delete_folder, user_id, folder_id, parts.clock.now()):
        raise no_folder(folder_id)
    return Json(None)


@router.get("/sources/{folder_id}/agents", deprecated=True)
@router.get("/folders/{folder_id}/agents")
@answers(list[str])
async def list_agents_for_folder(
    folder_id: FolderPath,
    query: Annotated[FolderAgentQuery, asked(FolderAgentQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the ids of the agents that hold a folder."""
    await find_folder(parts, caller.user.id, folder_id)
    where = AgentFilter(folder_id=folder_id)
    found = await parts.db.read(agents.list_agents, caller.user.id, where, query.page())
    return Json([agent.id for agent in found])


@router.post("/sources/{folder_id}/upload", deprecated=True)
@router.post("/folders/{folder_id}/upload")
@answers(FileState)
async def upload_file_to_folder(
    folder_id: FolderPath,
    file: Annotated[UploadFile, File()],
    query: Annotated[UploadQuery, asked(UploadQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """Put a file into a folder. It is read afterwards: `processing_status` says how far that is."""
    limit, now = parts.settings.file_bytes_max, parts.clock.now()
    body = await file.read(limit + 1)
    if len(body) > limit:
        raise TooLarge(f"The file is larger than {limit} bytes (RUNSTEAD_FILE_BYTES_MAX).")
    original = _file_name(file.filename)
    made = StoredFile(
        id=FileId(f"file-{parts.ids.uuid()}"),
        user_id=caller.user.id,
        folder_id=folder_id,
        folder_name="",
        name=original if query.name is None else _file_name(query.name),
        original_name=original,
        size_bytes=len(body),
        created_at=now,
        updated_at=now,
        kind=(file.content_type or "")[:FILE_NAME_CHARS_MAX].replace("\0", "") or None,
    )
    handling, together = query.duplicate_handling, parts.settings.files_bytes_max
    there = await parts.db.write(files.add_file, made, body, handling, together, now)
    parts.filing.wake()
    return Json(file_state(there, caller.user.organization_id))


@router.get("/sources/{folder_id}/files", deprecated=True)
@router.get("/folders/{folder_id}/files")
@answers(list[FileState])
async def list_files_for_folder(
    folder_id: FolderPath, query: Annotated[FileQuery, asked(FileQuery)], caller: Caller, parts: Parts
) -> Response:
    """List the files in a folder, newest first unless asked otherwise."""
    user = caller.user
    await find_folder(parts, user.id, folder_id)
    found = await parts.db.read(files.list_files, user.id, FileFilter(folder_id), query.page())
    texts: dict[str, str] = {}
    if query.include_content:
        _check_content(found, parts.settings.file_chars_max)
        texts = await parts.db.read(files.texts_of, user.id, [each.id for each in found])
    return Json([file_state(each, user.organization_id, texts.get(each.id)) for each in found])


@router.get("/sources/{folder_id}/files/{file_id}", deprecated=True)
@router.get("/folders/{folder_id}/files/{file_id}")
@answers(FileState)
async def retrieve_file(
    folder_id: FolderPath,
    file_id: FilePath,
    query: Annotated[OneFileQuery, asked(OneFileQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """Read what is known of a file, with its text where that is asked for."""
    found = await parts.db.read(files.find_file, caller.user.id, file_id)
    if found is None or found.folder_id != folder_id:
        raise no_file(file_id)
    text = await parts.db.read(files.text_of, caller.user.id, file_id) if query.include_content else None
    return Json(file_state(found, caller.user.organization_id, text))


@router.get("/sources/{folder_id}/passages", deprecated=True)
@router.get("/folders/{folder_id}/passages")
@answers(list[PassageState])
async def list_folder_passages(
    folder_id: FolderPath,
    query: Annotated[FolderPassageQuery, asked(FolderPassageQuery)],
    caller: Caller,
    parts: Parts,
) -> Response:
    """List the pieces of a folder's files, newest first unless asked otherwise."""
    user = caller.user
    folder = await find_folder(parts, user.id, folder_id)
    where = PassageFilter(files=files.ids_in(user.id, folder_id))
    found = await parts.db.read(passages.list_passages, user.id, where, query.page())
    states = [passage_state(each, user.organization_id) for each in found]
    return Json([{**state, "file_name": f"{folder.name}/{state['file_name']}"} for state in states])


@router.delete("/sources/{folder_id}/{file_id}", deprecated=True, status_code=204)
@router.delete("/folders/{folder_id}/{file_id}", status_code=204)
@answers(type(None))
async def delete_file_from_folder(
    folder_id: FolderPath, file_id: FilePath, caller: Caller, parts: Parts
) -> Response:
    """Delete a file with its passages."""
    if not await parts.db.write(files.delete_file, caller.user.id, folder_id, file_id):
        raise no_file(file_id)
    return Response(status_code=204)


async def find_folder(parts: Services, user_id: UserId, folder_id: str) -> Folder:
    """A folder of this actor. Raises `NotFound`."""
    found = await parts.db.read(store.find_folder, user_id, folder_id)
    if found is None:
        raise no_folder(folder_id)
    return found


def no_file(file_id: str) -> NotFound:
    """The error that says so."""
    return NotFound(f"File {file_id} not found")


def _file_name(given: str | None) -> str:
    """A file's own name, without the folders that its client knows it under. Raises `Invalid`."""
    name = PurePosixPath((given or "").replace("\\", "/").replace("\0", "")).name
    if name in {"", "..", "."} or len(name) > FILE_NAME_CHARS_MAX:
        raise Invalid(f"A file has a name of 1 to {FILE_NAME_CHARS_MAX} characters.")
    return name


def _check_content(found: list[StoredFile], chars_max: int) -> None:
    """Raises `Invalid` where the texts of a page are more than one answer should hold."""
    if sum(each.chars or 0 for each in found) > chars_max:
        raise Invalid("These files have too much text for one answer; ask for fewer, or for each by itself.")
