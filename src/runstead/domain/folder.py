"""Folders of files that agents are given, and what of the files stands in an agent's context. Pure data.

A file's text is its own to read in windows of lines: an agent has a few files open, and sees a part of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from runstead.domain.agent import Agent
from runstead.domain.tokens import CHARS_PER_TOKEN
from runstead.ids import FileId, FolderId, UserId

# An agent has them while it has a folder.
FILE_TOOLS = ("open_files", "grep_files", "semantic_search_files")
FILES_OPEN_DEFAULT = 5
FILES_OPEN_MAX = 100
WINDOW_CHARS_DEFAULT = 15_000
WINDOW_CHARS_MIN = 500
WINDOW_CHARS_MAX = 1_000_000
# Of its context window, the part that an agent's open files may fill together where nobody says otherwise.
OPEN_SHARE = 0.25


class FileStatus(StrEnum):
    """How far the reading of a file is."""

    PENDING = "pending"
    PARSING = "parsing"
    EMBEDDING = "embedding"
    COMPLETED = "completed"
    ERROR = "error"


class Duplicate(StrEnum):
    """What becomes of a file whose name is taken in its folder."""

    SKIP = "skip"
    ERROR = "error"
    SUFFIX = "suffix"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder. `instructions` tell an agent what it is for. `extra` is kept and answered, but not acted on."""

    id: FolderId
    user_id: UserId
    name: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    instructions: str | None = None
    embedding: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict[str, object])
    extra: Mapping[str, object] = field(default_factory=dict[str, object])


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file in a folder, without its text. `name` is its own in its folder; `error` says why it could not be read."""

    id: FileId
    user_id: UserId
    folder_id: FolderId
    folder_name: str
    name: str
    original_name: str
    size_bytes: int
    created_at: datetime
    updated_at: datetime
    kind: str | None = None
    status: FileStatus = FileStatus.PENDING
    error: str | None = None
    chars: int | None = None
    lines: int | None = None
    total_chunks: int | None = None
    chunks_done: int = 0

    @property
    def path(self) -> str:
        """What an agent calls it."""
        return f"{self.folder_name}/{self.name}"


@dataclass(frozen=True, slots=True)
class Window:
    """The part of an open file that its agent sees. Lines count from 1; `opened_at` is when it was opened last."""

    file: StoredFile
    first_line: int
    last_line: int
    text: str
    opened_at: datetime


@dataclass(frozen=True, slots=True)
class FolderView:
    """A folder as an agent is told of it: some of its files, the newest first, and how many there are."""

    folder: Folder
    files: tuple[StoredFile, ...]
    count: int


@dataclass(frozen=True, slots=True)
class Directory:
    """All that an agent is told of its folders."""

    folders: tuple[FolderView, ...] = ()
    windows: tuple[Window, ...] = ()


NO_DIRECTORY = Directory()


@dataclass(frozen=True, slots=True)
class ViewLimits:
    """How many files an agent may have open, and how many characters of each it sees."""

    files: int
    chars: int


def limits_of(agent: Agent) -> ViewLimits:
    """What a client said, or what leaves the most of the agent's context window to everything else."""
    files = _given(agent, "max_files_open")
    files = FILES_OPEN_DEFAULT if files is None else max(1, min(files, FILES_OPEN_MAX))
    chars = _given(agent, "per_file_view_window_char_limit")
    if chars is None:
        share = int(agent.context_window_tokens * CHARS_PER_TOKEN * OPEN_SHARE) // files
        return ViewLimits(files, max(WINDOW_CHARS_MIN, min(share, WINDOW_CHARS_DEFAULT)))
    return ViewLimits(files, max(1, min(chars, WINDOW_CHARS_MAX)))


def reads_files(agent: Agent) -> bool:
    """Whether an agent is told of its folders: while it has a tool that looks into them."""
    return any(name in agent.tools for name in FILE_TOOLS)


def _given(agent: Agent, name: str) -> int | None:
    value = agent.extra.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
