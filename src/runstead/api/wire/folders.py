"""Folders, their files, and what agents see of these as JSON, in the union of both generations' fields."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.agent_requests import Name
from runstead.api.wire.documents import Document
from runstead.api.wire.models import EmbeddingConfigState, embedding_state
from runstead.api.wire.paging import Limit, PageQuery
from runstead.domain.folder import Duplicate, Folder, StoredFile, ViewLimits, Window
from runstead.domain.prompt import window_text
from runstead.ids import FolderId, UserId, stable_id
from runstead.store.files import FolderStats
from runstead.store.folders import FolderFilter
from runstead.store.pages import LIMIT_MAX, Page

TEXT_CHARS_MAX = 100_000
Words = Annotated[str, Field(max_length=TEXT_CHARS_MAX)]
_ATTACHED = "file_agent-"


class FolderState(TypedDict):
    """A folder; a source is the same."""

    id: str
    name: str
    description: str | None
    instructions: str | None
    metadata: dict[str, object] | None
    embedding_config: EmbeddingConfigState
    vector_db_provider: Literal["native"]
    organization_id: str | None
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: datetime | None
    updated_at: datetime | None


class FileState(TypedDict):
    """A file. `file_name` is what agents call it; `content` is its text, where that was asked for."""

    id: str
    source_id: str
    file_name: str | None
    original_file_name: str | None
    file_path: str | None
    file_type: str | None
    file_size: int | None
    file_creation_date: str | None
    file_last_modified_date: str | None
    processing_status: str
    error_message: str | None
    total_chunks: int | None
    chunks_embedded: int | None
    content: str | None
    organization_id: str | None
    created_at: datetime | None
    updated_at: datetime | None


class FileStatsState(TypedDict):
    """A file in a count."""

    file_id: str
    file_name: str
    file_size: int | None


class FolderStatsState(TypedDict):
    """How much is in a folder."""

    source_id: str
    source_name: str
    file_count: int
    total_size: int
    files: list[FileStatsState]


class StatsState(TypedDict):
    """How much is in all folders."""

    total_sources: int
    total_files: int
    total_size: int
    sources: list[FolderStatsState]


class AttachedFileState(TypedDict):
    """A file as an agent has it."""

    id: str
    file_id: str
    file_name: str
    folder_id: str
    folder_name: str
    is_open: bool
    last_accessed_at: datetime | None
    visible_content: str | None
    start_line: int | None
    end_line: int | None


class AttachedFilesState(TypedDict):
    """A page of an agent's files."""

    files: list[AttachedFileState]
    next_cursor: str | None
    has_more: bool


class FileBlockState(TypedDict):
    """An open file, as a piece of an agent's memory."""

    id: str
    file_id: str
    source_id: str
    label: str | None
    value: str
    limit: int
    description: str | None
    is_open: bool
    read_only: bool
    last_accessed_at: datetime | None
    metadata: dict[str, object] | None
    tags: list[str] | None
    hidden: bool | None
    is_template: bool
    name: str | None
    template_name: str | None
    template_id: str | None
    base_template_id: str | None
    deployment_id: str | None
    entity_id: str | None
    preserve_on_migration: bool | None
    project_id: str | None
    created_by_id: str | None
    last_updated_by_id: str | None


class FolderQuery(PageQuery):
    """Which folders shall be listed."""

    order: Literal["asc", "desc"] = "asc"
    order_by: Literal["created_at"] = "created_at"
    name: str | None = None

    def filter(self) -> FolderFilter:
        """The store's filter."""
        return FolderFilter(self.name)


class SourceQuery(FolderQuery):
    """Which sources shall be listed: all, as the older generation has it."""

    limit: Limit = LIMIT_MAX


class HeldFolderQuery(PageQuery):
    """Which of an agent's folders shall be listed."""

    limit: Limit = 100
    order_by: Literal["created_at"] = "created_at"


class FileQuery(PageQuery):
    """Which of a folder's files shall be listed. `check_status_updates` is taken and not used: it is always so."""

    limit: Limit = LIMIT_MAX
    order_by: Literal["created_at"] = "created_at"
    include_content: bool = False
    check_status_updates: bool = True


class OneFileQuery(BaseModel):
    """What shall be answered of a file."""

    include_content: bool = False


class FolderPassageQuery(PageQuery):
    """Which passages of a folder's files shall be listed."""

    limit: Limit = 100
    order_by: Literal["created_at"] = "created_at"


class FolderAgentQuery(PageQuery):
    """Which of the agents that hold a folder shall be listed."""

    order_by: Literal["created_at"] = "created_at"


class StatsQuery(BaseModel):
    """Whether each file is counted by its name."""

    include_detailed_per_source_metadata: bool = False


class UploadQuery(BaseModel):
    """How a file shall be called, and what becomes of it where that name is taken."""

    duplicate_handling: Duplicate = Duplicate.SUFFIX
    name: str | None = None


class AttachedFileQuery(PageQuery):
    """Which of an agent's files shall be listed. `cursor` is what `after` was called."""

    limit: Limit = 100
    order_by: Literal["created_at"] = "created_at"
    cursor: str | None = None
    is_open: bool | None = None

    def page(self, order_by: str = "created_at") -> Page:
        """The store's page, of one more than is asked for: so it is known whether there is more."""
        after, before = (_file_id(each) for each in (self.after or self.cursor, self.before))
        return Page(min(self.limit + 1, LIMIT_MAX), self.order == "asc", after, before, order_by)


class SourceCreate(BaseModel):
    """A new folder."""

    name: Name
    description: Words | None = None
    instructions: Words | None = None
    metadata: Document | None = None
    embedding: str | None = None
    embedding_chunk_size: int | None = None
    embedding_config: Document | None = None


class SourceUpdate(BaseModel):
    """What of a folder shall be changed: the fields that are given."""

    name: Name | None = None
    description: Words | None = None
    instructions: Words | None = None
    metadata: Document | None = None
    embedding_config: Document | None = None


def new_folder(body: SourceCreate, folder_id: FolderId, user_id: UserId, now: datetime) -> Folder:
    """The folder that a request describes."""
    kept = {"embedding_config": body.embedding_config} if body.embedding_config else {}
    return Folder(
        id=folder_id,
        user_id=user_id,
        name=body.name,
        created_at=now,
        updated_at=now,
        description=body.description,
        instructions=body.instructions,
        embedding=body.embedding or cast("str | None", (body.embedding_config or {}).get("handle")),
        metadata=body.metadata or {},
        extra=kept,
    )


def changes_of_folder(body: SourceUpdate) -> dict[str, Any]:
    """What of a folder a request changes."""
    given = body.model_fields_set
    changes: dict[str, Any] = {
        name: getattr(body, name) for name in ("description", "instructions") if name in given
    }
    if body.name is not None:
        changes["name"] = body.name
    if body.metadata is not None:
        changes["metadata"] = body.metadata
    if body.embedding_config is not None:
        changes["extra"] = {"embedding_config": body.embedding_config}
    return changes


def folder_state(folder: Folder, organization_id: str | None = None) -> FolderState:
    """A folder as it is answered."""
    return {
        "id": folder.id,
        "name": folder.name,
        "description": folder.description,
        "instructions": folder.instructions,
        "metadata": dict(folder.metadata),
        "embedding_config": embedding_state(folder.embedding, folder.extra.get("embedding_config")),
        "vector_db_provider": "native",
        "organization_id": organization_id,
        "created_by_id": folder.user_id,
        "last_updated_by_id": folder.user_id,
        "created_at": folder.created_at,
        "updated_at": folder.updated_at,
    }


def file_state(file: StoredFile, organization_id: str, content: str | None = None) -> FileState:
    """A file as it is answered."""
    day = f"{file.created_at:%Y-%m-%d}"
    return {
        "id": file.id,
        "source_id": file.folder_id,
        "file_name": file.path,
        "original_file_name": file.original_name,
        "file_path": None,
        "file_type": file.kind,
        "file_size": file.size_bytes,
        "file_creation_date": day,
        "file_last_modified_date": day,
        "processing_status": file.status.value,
        "error_message": file.error,
        "total_chunks": file.total_chunks,
        "chunks_embedded": file.chunks_done,
        "content": content,
        "organization_id": organization_id,
        "created_at": file.created_at,
        "updated_at": file.updated_at,
    }


def stats_state(folders: Sequence[FolderStats], files: Sequence[StoredFile]) -> StatsState:
    """How much there is, as it is answered."""
    by_folder: dict[str, list[FileStatsState]] = {}
    for file in files:
        state = FileStatsState(file_id=file.id, file_name=file.path, file_size=file.size_bytes)
        by_folder.setdefault(file.folder_id, []).append(state)
    return {
        "total_sources": len(folders),
        "total_files": sum(each.files for each in folders),
        "total_size": sum(each.size_bytes for each in folders),
        "sources": [
            {
                "source_id": each.folder_id,
                "source_name": each.folder_name,
                "file_count": each.files,
                "total_size": each.size_bytes,
                "files": by_folder.get(each.folder_id, []),
            }
            for each in folders
        ],
    }


def attached_files_state(
    found: Sequence[StoredFile], windows: Mapping[str, Window], limit: int
) -> AttachedFilesState:
    """A page of an agent's files as it is answered; `found` is one more than the page where there is more."""
    files = [attached_file_state(file, windows.get(file.id)) for file in found[:limit]]
    more = len(found) > limit
    return {"files": files, "next_cursor": files[-1]["id"] if more and files else None, "has_more": more}


def attached_file_state(file: StoredFile, window: Window | None) -> AttachedFileState:
    """A file as its agent has it."""
    return {
        "id": _ATTACHED + file.id.removeprefix("file-"),
        "file_id": file.id,
        "file_name": file.path,
        "folder_id": file.folder_id,
        "folder_name": file.folder_name,
        "is_open": window is not None,
        "last_accessed_at": None if window is None else window.opened_at,
        "visible_content": None if window is None else window_text(window),
        "start_line": None if window is None else window.first_line,
        "end_line": None if window is None else window.last_line,
    }


def file_block_state(window: Window, limits: ViewLimits) -> FileBlockState:
    """An open file as a piece of memory."""
    file = window.file
    return {
        "id": stable_id("block", file.id),
        "file_id": file.id,
        "source_id": file.folder_id,
        "label": file.path,
        "value": window_text(window),
        "limit": limits.chars,
        "description": None,
        "is_open": True,
        "read_only": True,
        "last_accessed_at": window.opened_at,
        "metadata": {},
        "tags": [],
        "hidden": None,
        "is_template": False,
        "name": None,
        "template_name": None,
        "template_id": None,
        "base_template_id": None,
        "deployment_id": None,
        "entity_id": None,
        "preserve_on_migration": False,
        "project_id": None,
        "created_by_id": file.user_id,
        "last_updated_by_id": file.user_id,
    }


def _file_id(cursor: str | None) -> str | None:
    """The file that a cursor names, by its own id or by that of its attachment."""
    if cursor is None or not cursor.startswith(_ATTACHED):
        return cursor
    return "file-" + cursor.removeprefix(_ATTACHED)
