"""Which files an agent has open, which lines of each it sees, and all that it is told of its folders.

Every query names the actor. A file is open for an agent while it has a row here; of its text only the window is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Integer, cast, delete, func, insert, select

from runstead.domain.agent import Agent
from runstead.domain.file_text import placed
from runstead.domain.folder import Directory, FileStatus, FolderView, StoredFile, Window, limits_of
from runstead.errors import Invalid
from runstead.ids import AgentId, UserId
from runstead.store import files
from runstead.store.codec import from_us, to_us
from runstead.store.files import FileFilter, file_of
from runstead.store.folders import folders_of_agent, held_by
from runstead.store.locks import hold
from runstead.store.pages import Page
from runstead.store.schema import agent_files as table
from runstead.store.schema import file_texts, folders
from runstead.store.schema import files as file_rows

FILES_TOLD_MAX = 50  # of each folder


@dataclass(frozen=True, slots=True)
class FileView:
    """A part of a file that shall be seen: from a line on, so many lines or as many as may be seen."""

    file: StoredFile
    first_line: int = 1
    lines: int | None = None


def open_views(
    conn: Connection, agent: Agent, views: list[FileView], now: datetime, *, close_others: bool = False
) -> list[StoredFile]:
    """Open files for an agent of the actor's; gives those that were closed for it: the longest unused ones.

    Raises `Invalid` where one has no text, or not so many lines, or where they are more than may be open.
    """
    limits = limits_of(agent)
    if len(views) > limits.files:
        raise Invalid(f"At most {limits.files} files may be open at a time, not {len(views)}.")
    hold(conn, f"runstead:open:{agent.id}")
    if close_others:
        close_all(conn, agent.user_id, agent.id)
    for view in views:
        text = files.text_of(conn, agent.user_id, view.file.id)
        if text is None or view.file.status is not FileStatus.COMPLETED:
            raise Invalid(f"{view.file.path} has no text: {_why(view.file)}")
        at = placed(text, view.first_line, view.lines, limits.chars)
        if at is None:
            raise Invalid(f"{view.file.path} has no line {view.first_line}, only {view.file.lines} lines.")
        close(conn, agent.id, view.file)
        conn.execute(
            insert(table).values(
                agent_id=agent.id,
                file_id=view.file.id,
                first_line=at.first_line,
                last_line=at.last_line,
                first_char=at.first_char,
                chars=at.chars,
                opened_at=to_us(now),
            )
        )
    return _close_oldest(conn, agent, limits.files, {view.file.id for view in views})


def close(conn: Connection, agent_id: AgentId, file: StoredFile) -> bool:
    """Close a file of the actor's for an agent of the actor's; whether it was open."""
    gone = delete(table).where(table.c.agent_id == agent_id, table.c.file_id == file.id)
    return conn.execute(gone).rowcount == 1


def close_all(conn: Connection, user_id: UserId, agent_id: AgentId) -> list[StoredFile]:
    """Close every file of an agent of the actor's; gives those that were open."""
    opened = _opened(conn, user_id, agent_id)
    conn.execute(delete(table).where(table.c.agent_id == agent_id))
    return opened


def close_folder(conn: Connection, agent_id: AgentId, folder_id: str) -> None:
    """Close every file of a folder for an agent of the actor's."""
    of_folder = select(file_rows.c.id).where(file_rows.c.folder_id == folder_id)
    conn.execute(delete(table).where(table.c.agent_id == agent_id, table.c.file_id.in_(of_folder)))


def windows_of_agent(conn: Connection, agent: Agent) -> list[Window]:
    """What an agent sees of its open files, the one that was opened last first; never more than its limits."""
    limits = limits_of(agent)
    smaller = func.min if conn.dialect.name == "sqlite" else func.least
    # PostgreSQL counts characters in its smaller numbers.
    first, chars = cast(table.c.first_char + 1, Integer), cast(smaller(table.c.chars, limits.chars), Integer)
    shown = func.substr(file_texts.c.text, first, chars).label("shown")
    seen = (table.c.first_line, table.c.last_line, table.c.opened_at)
    query = (
        select(file_rows, folders.c.name.label("folder_name"), *seen, shown)
        .join(file_rows, file_rows.c.id == table.c.file_id)
        .join(folders, folders.c.id == file_rows.c.folder_id)
        .join(file_texts, file_texts.c.file_id == file_rows.c.id)
        .where(table.c.agent_id == agent.id, file_rows.c.user_id == agent.user_id)
        .where(file_rows.c.folder_id.in_(held_by(agent.user_id, agent.id)))
        .order_by(table.c.opened_at.desc(), file_rows.c.id)
        .limit(limits.files)
    )
    return [
        Window(file_of(row), int(row.first_line), int(row.last_line), row.shown, from_us(int(row.opened_at)))
        for row in conn.execute(query)
    ]


def directory_of(conn: Connection, agent: Agent) -> Directory:
    """All that an agent is told of its folders."""
    views: list[FolderView] = []
    for folder in folders_of_agent(conn, agent.user_id, agent.id):
        where = FileFilter(folder_id=folder.id)
        some = files.list_files(conn, agent.user_id, where, Page(limit=FILES_TOLD_MAX))
        count = len(some)
        if count == FILES_TOLD_MAX:
            count = files.count_files(conn, agent.user_id, where)
        views.append(FolderView(folder, tuple(some), count))
    return Directory(tuple(views), tuple(windows_of_agent(conn, agent)) if views else ())


def _opened(conn: Connection, user_id: UserId, agent_id: AgentId) -> list[StoredFile]:
    """The open files of an agent, the one that was opened last first."""
    query = (
        select(file_rows, folders.c.name.label("folder_name"))
        .join(table, file_rows.c.id == table.c.file_id)
        .join(folders, folders.c.id == file_rows.c.folder_id)
        .where(table.c.agent_id == agent_id, file_rows.c.user_id == user_id)
        .order_by(table.c.opened_at.desc(), file_rows.c.id)
    )
    return [file_of(row) for row in conn.execute(query)]


def _close_oldest(conn: Connection, agent: Agent, limit: int, fresh: set[str]) -> list[StoredFile]:
    opened = _opened(conn, agent.user_id, agent.id)
    opened.sort(key=lambda file: file.id not in fresh)
    for file in opened[limit:]:
        close(conn, agent.id, file)
    return opened[limit:]


def _why(file: StoredFile) -> str:
    if file.status is FileStatus.ERROR:
        return file.error or "it could not be read."
    return "it is still being read; try again in a moment."
