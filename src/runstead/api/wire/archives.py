"""Archives and passages as JSON, and what clients write of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.agent_requests import Name, Names
from runstead.api.wire.blocks import Tags
from runstead.api.wire.documents import Document
from runstead.api.wire.models import EmbeddingConfigState, EmbeddingHandle, embedding_config, embedding_of
from runstead.api.wire.paging import Moment, PageQuery
from runstead.domain.archive import PASSAGE_CHARS_MAX, Archive, Passage
from runstead.domain.embedding import EmbeddingInfo, embedding_named
from runstead.ids import ArchiveId, PassageId, UserId
from runstead.store.archives import ArchiveFilter
from runstead.store.pages import LIMIT_MAX
from runstead.store.passages import FoundPassage, PassageFilter

TOP_K_DEFAULT = 10
BATCH_MAX = 1000
TagMode = Literal["any", "all"]
PassageText = Annotated[str, Field(min_length=1, max_length=PASSAGE_CHARS_MAX)]
Found = Annotated[int, Field(ge=1, le=LIMIT_MAX)]


class ArchiveState(TypedDict):
    """An archive."""

    id: str
    name: str
    description: str | None
    organization_id: str
    vector_db_provider: Literal["native"]
    embedding_config: EmbeddingConfigState | None
    metadata: dict[str, object] | None
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: datetime
    updated_at: datetime | None


class PassageState(TypedDict):
    """A passage. Its vector is the server's business and never answered."""

    id: str
    text: str
    tags: list[str] | None
    metadata: dict[str, object] | None
    archive_id: str | None
    source_id: str | None
    file_id: str | None
    file_name: str | None
    embedding: list[float] | None
    embedding_config: EmbeddingConfigState | None
    organization_id: str | None
    is_deleted: bool
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: datetime | None
    updated_at: datetime | None


class ArchivalFound(TypedDict):
    """A passage as an agent's search answers it."""

    id: str
    timestamp: datetime
    content: str
    tags: list[str]


class ArchivalAnswer(TypedDict):
    """What an agent's search found."""

    results: list[ArchivalFound]
    count: int


class PassageFound(TypedDict):
    """A passage as a search answers it. A higher score fits better; it means nothing beyond one search."""

    passage: PassageState
    score: float
    metadata: dict[str, object]


class ArchiveQuery(PageQuery):
    """Which archives shall be listed."""

    name: str | None = None
    agent_id: str | None = None
    order_by: Literal["created_at"] = "created_at"

    def filter(self) -> ArchiveFilter:
        """The store's filter."""
        return ArchiveFilter(self.name, self.agent_id)


class CreateArchive(BaseModel):
    """A new archive. Its embedding model is the one that is named, the server's where none is."""

    name: Name
    description: str | None = None
    embedding: EmbeddingHandle | None = None
    embedding_config: Document | None = None

    def model(self) -> str | None:
        """The embedding model that is named."""
        return embedding_named(embedding_of(self.embedding, self.embedding_config))


class UpdateArchive(BaseModel):
    """What shall change of an archive. The published clients do not know that its embedding model may change."""

    name: Name | None = None
    description: str | None = None
    embedding: EmbeddingHandle | None = None


class CreatePassage(BaseModel):
    """A new passage."""

    text: PassageText
    tags: Tags | None = None
    metadata: Document | None = None
    created_at: Moment | None = None


class CreatePassages(BaseModel):
    """New passages, all or none."""

    passages: list[CreatePassage] = Field(max_length=BATCH_MAX)


class PassageQuery(PageQuery):
    """Which passages of an agent shall be listed."""

    limit: Annotated[int, Field(ge=1, le=LIMIT_MAX)] = 100
    search: str | None = None
    ascending: bool = True


class ArchivalQuery(BaseModel):
    """What shall be looked for in an agent's archives."""

    query: str
    tags: list[str] | None = None
    tag_match_mode: TagMode = "any"
    top_k: Found = TOP_K_DEFAULT
    start_datetime: Moment | None = None
    end_datetime: Moment | None = None


class PassageSearch(BaseModel):
    """What shall be looked for in all archives, or in an agent's, or in one."""

    query: str | None = None
    agent_id: str | None = None
    archive_id: str | None = None
    tags: Names | None = None
    tag_match_mode: TagMode = "any"
    limit: Found = 50
    start_date: Moment | None = None
    end_date: Moment | None = None

    def filter(self) -> PassageFilter:
        """The store's filter."""
        return PassageFilter(
            agent_id=self.agent_id,
            archive_id=self.archive_id,
            tags=tuple(self.tags or ()),
            match_all_tags=self.tag_match_mode == "all",
            since=self.start_date,
            until=self.end_date,
        )


def new_passage(
    body: CreatePassage, passage_id: PassageId, user_id: UserId, archive_id: ArchiveId, now: datetime
) -> Passage:
    """The passage that a request comes to."""
    return Passage(
        id=passage_id,
        user_id=user_id,
        archive_id=archive_id,
        text=body.text,
        created_at=body.created_at or now,
        updated_at=now,
        tags=tuple(dict.fromkeys(body.tags or ())),
        metadata=body.metadata or {},
    )


def archive_state(archive: Archive, organization_id: str, model: EmbeddingInfo | None = None) -> ArchiveState:
    """An archive as it is answered; `model` is what is known of its embedding model."""
    return {
        "id": archive.id,
        "name": archive.name,
        "description": archive.description,
        "organization_id": organization_id,
        "vector_db_provider": "native",
        "embedding_config": None if model is None else embedding_config(model),
        "metadata": None,
        "created_by_id": archive.user_id,
        "last_updated_by_id": archive.user_id,
        "created_at": archive.created_at,
        "updated_at": archive.updated_at,
    }


def passage_state(passage: Passage, organization_id: str) -> PassageState:
    """A passage as it is answered. One that is a piece of a file stands in no archive that could be asked for."""
    piece = passage.piece_of
    return {
        "id": passage.id,
        "text": passage.text,
        "tags": list(passage.tags),
        "metadata": dict(passage.metadata),
        "archive_id": passage.archive_id if piece is None else None,
        "source_id": None if piece is None else piece.folder_id,
        "file_id": None if piece is None else piece.file_id,
        "file_name": None if piece is None else piece.file_name,
        "embedding": None,
        "embedding_config": None,
        "organization_id": organization_id,
        "is_deleted": False,
        "created_by_id": passage.user_id,
        "last_updated_by_id": passage.user_id,
        "created_at": passage.created_at,
        "updated_at": passage.updated_at,
    }


def archival_found(found: FoundPassage) -> ArchivalFound:
    """A passage as an agent's search answers it."""
    passage = found.passage
    return {
        "id": passage.id,
        "timestamp": passage.created_at,
        "content": passage.text,
        "tags": list(passage.tags),
    }


def changes_of(body: UpdateArchive) -> dict[str, Any]:
    """The columns of an archive that a request changes."""
    given: dict[str, Any] = {} if body.name is None else {"name": body.name}
    if "description" in body.model_fields_set:
        given["description"] = body.description
    if "embedding" in body.model_fields_set:
        given["embedding"] = embedding_named(body.embedding)
    return given
