"""Archival memory: passages of text in archives, which agents hold. What the model searches instead of seeing. Pure data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from runstead.ids import ArchiveId, FileId, FolderId, PassageId, UserId

PASSAGE_CHARS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Archive:
    """A collection of passages. `embedding` names the model of its vectors, None leaves it to the server.

    `extra` holds what is kept and answered, but not acted on.
    """

    id: ArchiveId
    user_id: UserId
    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    embedding: str | None = None
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class PieceOf:
    """The file that a passage is a piece of, its own name in its folder, and which lines of it, counted from 1."""

    file_id: FileId
    file_name: str
    folder_id: FolderId
    first_line: int
    last_line: int


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of text with tags. `created_at` may be what a client says that it is."""

    id: PassageId
    user_id: UserId
    archive_id: ArchiveId
    text: str
    created_at: datetime
    updated_at: datetime
    tags: tuple[str, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    piece_of: PieceOf | None = None
