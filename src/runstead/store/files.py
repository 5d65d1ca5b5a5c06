"""Files in folders: their rows, their texts, and who reads one now. Every query of a client names the actor.

A file is read by one process at a time: who leases it has the next attempt's number, and writes only while that is the
newest. A row and the body that came with it are stored together; the body goes when the text is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Row,
    Select,
    case,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from runstead.domain.archive import Passage
from runstead.domain.folder import Duplicate, FileStatus, StoredFile
from runstead.errors import Conflict, Invalid, NotFound
from runstead.ids import FileId, FolderId, UserId
from runstead.store import passages
from runstead.store.codec import from_us, to_us
from runstead.store.folders import held_by
from runstead.store.locks import hold
from runstead.store.pages import Page, paged
from runstead.store.schema import agent_files, file_bodies, file_texts, folders
from runstead.store.schema import files as table

FILES_MAX = 10_000  # of one actor
SUFFIXES_MAX = 1_000  # files of one name in one folder
# As the index has it: small, because few files are not read to their end.
_UNFINISHED = text("status IN ('pending', 'parsing', 'embedding')")
_FILES = select(table, folders.c.name.label("folder_name")).join(folders, folders.c.id == table.c.folder_id)


@dataclass(frozen=True, slots=True)
class FileFilter:
    """Which files of an actor. None means any; `is_open` asks for `agent_id`."""

    folder_id: str | None = None
    agent_id: str | None = None
    is_open: bool | None = None


@dataclass(frozen=True, slots=True)
class FolderStats:
    """How much is in a folder."""

    folder_id: FolderId
    folder_name: str
    files: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class DueFile:
    """A file to be read, by whoever gets its lease."""

    id: FileId
    attempts: int


def add_file(
    conn: Connection, file: StoredFile, body: bytes, duplicate: Duplicate, bytes_max: int, now: datetime
) -> StoredFile:
    """Store a file that came, to be read later; where its name is taken, as `duplicate` says. Gives what is there then.

    Raises `NotFound` where the folder is not the actor's, `Conflict` where the name is taken and must not be, and `Invalid`
    where the actor's files are too many, or have more than `bytes_max` together.
    """
    # The name stays free, and the folder there, until this ends.
    hold(conn, f"runstead:files:{file.user_id}")
    folder = select(folders.c.name).where(folders.c.id == file.folder_id, folders.c.user_id == file.user_id)
    name = conn.scalar(folder.with_for_update(read=True, key_share=True))
    if name is None:
        raise NotFound(f"Folder {file.folder_id} not found")
    file = replace(file, folder_name=name)
    there = _named(conn, file.user_id, file.folder_id, file.name)
    if there is not None:
        if duplicate is Duplicate.SKIP:
            return there
        if duplicate is Duplicate.ERROR:
            raise Conflict(f"There is a file named {file.name!r} in the folder already.")
        if duplicate is Duplicate.REPLACE:
            delete_file(conn, file.user_id, there.folder_id, there.id)
        else:
            file = replace(file, name=_free_name(conn, file))
    _check_room(conn, file, bytes_max)
    conn.execute(insert(table).values(_row(file, now)))
    conn.execute(insert(file_bodies).values(file_id=file.id, body=body))
    return file


def find_file(conn: Connection, user_id: UserId, file_id: str) -> StoredFile | None:
    """One file of this actor."""
    row = conn.execute(_FILES.where(table.c.user_id == user_id, table.c.id == file_id)).first()
    return None if row is None else file_of(row)


def list_files(conn: Connection, user_id: UserId, where: FileFilter, page: Page) -> list[StoredFile]:
    """A page of an actor's files. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = _FILES.where(*conditions(user_id, where))
    return [file_of(row) for row in paged(conn, query, table, scope, page)]


def count_files(conn: Connection, user_id: UserId, where: FileFilter) -> int:
    """How many files of an actor pass the filter."""
    query = select(func.count()).select_from(table).where(*conditions(user_id, where))
    return conn.scalar(query) or 0


def files_of_agent(conn: Connection, user_id: UserId, agent_id: str) -> list[StoredFile]:
    """Every file that an agent of this actor can read, in the order of their paths; at most `FILES_MAX`."""
    query = _FILES.where(*conditions(user_id, FileFilter(agent_id=agent_id))).order_by(
        folders.c.name, table.c.name
    )
    return [file_of(row) for row in conn.execute(query)]


def text_of(conn: Connection, user_id: UserId, file_id: str) -> str | None:
    """The text of a file of this actor; None where it is not read yet, or could not be."""
    query = select(file_texts.c.text).join(table, table.c.id == file_texts.c.file_id)
    return conn.scalar(query.where(table.c.user_id == user_id, table.c.id == file_id))


def texts_of(conn: Connection, user_id: UserId, file_ids: Sequence[str]) -> dict[str, str]:
    """The texts of files of this actor, by id."""
    query = select(file_texts.c.file_id, file_texts.c.text).join(table, table.c.id == file_texts.c.file_id)
    rows = conn.execute(query.where(table.c.user_id == user_id, table.c.id.in_(file_ids)))
    return {row.file_id: row.text for row in rows}


def delete_file(conn: Connection, user_id: UserId, folder_id: str, file_id: str) -> bool:
    """Delete a file with its passages; False where there is none in that folder."""
    mine = (table.c.user_id == user_id, table.c.folder_id == folder_id, table.c.id == file_id)
    if conn.execute(delete(table).where(*mine)).rowcount != 1:
        return False
    # After the row: from here on nobody who reads the file writes passages of it.
    passages.delete_of_file(conn, FileId(file_id))
    return True


def stats(conn: Connection, user_id: UserId) -> list[FolderStats]:
    """How much is in each of an actor's folders, oldest first."""
    query = (
        select(
            folders.c.id,
            folders.c.name,
            func.count(table.c.id).label("files"),
            func.coalesce(func.sum(table.c.size_bytes), 0).label("size_bytes"),
        )
        .outerjoin(table, table.c.folder_id == folders.c.id)
        .where(folders.c.user_id == user_id)
        .group_by(folders.c.id, folders.c.name, folders.c.created_at)
        .order_by(folders.c.created_at, folders.c.id)
    )
    return [
        FolderStats(FolderId(row.id), row.name, int(row.files), int(row.size_bytes))
        for row in conn.execute(query)
    ]


def all_files(conn: Connection, user_id: UserId) -> list[StoredFile]:
    """All files of an actor, oldest first; at most `FILES_MAX`."""
    query = _FILES.where(table.c.user_id == user_id).order_by(table.c.created_at, table.c.id)
    return [file_of(row) for row in conn.execute(query)]


def due(conn: Connection, now: datetime, limit: int) -> list[DueFile]:
    """What must be read and nobody reads, the longest waiting first."""
    query = select(table.c.id, table.c.attempts).where(_UNFINISHED, table.c.due_at <= to_us(now))
    rows = conn.execute(query.order_by(table.c.due_at).limit(limit))
    return [DueFile(FileId(row.id), int(row.attempts)) for row in rows]


def lease(conn: Connection, due_file: DueFile, until: datetime, now: datetime) -> StoredFile | None:
    """Begin to read a file: nobody else does until then. None where somebody else has begun, or it is gone."""
    begun = case((table.c.status == FileStatus.PENDING.value, FileStatus.PARSING.value), else_=table.c.status)
    taken = conn.execute(
        update(table)
        .where(table.c.id == due_file.id, table.c.attempts == due_file.attempts, _UNFINISHED)
        .values(
            attempts=due_file.attempts + 1,
            due_at=to_us(until),
            updated_at=to_us(now),
            status=begun,
        )
    )
    if taken.rowcount != 1:
        return None
    return file_of(conn.execute(_FILES.where(table.c.id == due_file.id)).one())


def body_of(conn: Connection, file_id: FileId) -> bytes | None:
    """A file as it came; None where its text is there already."""
    found = conn.scalar(select(file_bodies.c.body).where(file_bodies.c.file_id == file_id))
    return None if found is None else bytes(found)


def read_text(conn: Connection, file_id: FileId) -> str | None:
    """The text of a file that is being read, where an attempt before this one had come so far."""
    return conn.scalar(select(file_texts.c.text).where(file_texts.c.file_id == file_id))


def put_text(
    conn: Connection, file: StoredFile, attempt: int, read: str, until: datetime, now: datetime
) -> bool:
    """Store a file's text in the place of its body: what is left are its passages. False where another attempt began."""
    values = {
        "status": FileStatus.EMBEDDING.value,
        "chars": file.chars,
        "lines": file.lines,
        "total_chunks": file.total_chunks,
    }
    if not _write(conn, file, attempt, {**values, "due_at": to_us(until)}, now):
        return False
    conn.execute(delete(file_bodies).where(file_bodies.c.file_id == file.id))
    conn.execute(insert(file_texts).values(file_id=file.id, text=read))
    return True


def put_chunks(
    conn: Connection,
    file: StoredFile,
    attempt: int,
    made: Sequence[Passage],
    done: int,
    until: datetime,
    now: datetime,
) -> bool:
    """Store some of a file's passages; with the last ones it is read. False where another attempt began."""
    status = FileStatus.COMPLETED if done == file.total_chunks else FileStatus.EMBEDDING
    values = {"chunks_done": done, "status": status.value, "due_at": to_us(until)}
    if not _write(conn, file, attempt, values, now):
        return False
    if made:
        passages.put_passages(conn, made)
    return True


def give_up(conn: Connection, file: StoredFile, attempt: int, why: str, now: datetime) -> bool:
    """Note why a file cannot be read; nothing of it stays but its row. False where another attempt began."""
    if not _write(conn, file, attempt, {"status": FileStatus.ERROR.value, "error": why}, now):
        return False
    conn.execute(delete(file_bodies).where(file_bodies.c.file_id == file.id))
    conn.execute(delete(file_texts).where(file_texts.c.file_id == file.id))
    passages.delete_of_file(conn, file.id)
    return True


def disown_all(conn: Connection) -> None:
    """Let every file that is being read be read anew: whoever did it is dead."""
    conn.execute(update(table).where(_UNFINISHED).values(due_at=0))


def conditions(user_id: UserId, where: FileFilter) -> list[ColumnElement[bool]]:
    """What a file must be to pass: the actor's, first of all."""
    found: list[ColumnElement[bool]] = [table.c.user_id == user_id]
    if where.folder_id is not None:
        found.append(table.c.folder_id == where.folder_id)
    if where.agent_id is not None:
        found.append(table.c.folder_id.in_(held_by(user_id, where.agent_id)))
        opened = select(agent_files.c.file_id).where(agent_files.c.agent_id == where.agent_id)
        if where.is_open is not None:
            found.append(table.c.id.in_(opened) if where.is_open else table.c.id.not_in(opened))
    return found


def readable_by(user_id: UserId, agent_id: str) -> Select[Any]:
    """The ids of the files that are read to their end and that an agent of this actor can read, as a query."""
    completed = table.c.status == FileStatus.COMPLETED.value
    return select(table.c.id).where(completed, *conditions(user_id, FileFilter(agent_id=agent_id)))


def ids_in(user_id: UserId, folder_id: str) -> Select[Any]:
    """The ids of the files in a folder of this actor, as a query."""
    return select(table.c.id).where(*conditions(user_id, FileFilter(folder_id)))


def file_of(row: Row[Any]) -> StoredFile:
    """A row, with its folder's name, as a file."""
    return StoredFile(
        id=FileId(row.id),
        user_id=UserId(row.user_id),
        folder_id=FolderId(row.folder_id),
        folder_name=row.folder_name,
        name=row.name,
        original_name=row.original_name,
        size_bytes=int(row.size_bytes),
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        kind=row.kind,
        status=FileStatus(row.status),
        error=row.error,
        chars=row.chars,
        lines=row.lines,
        total_chunks=row.total_chunks,
        chunks_done=int(row.chunks_done),
    )


def _write(conn: Connection, file: StoredFile, attempt: int, values: dict[str, Any], now: datetime) -> bool:
    mine = (table.c.id == file.id, table.c.attempts == attempt, _UNFINISHED)
    done = conn.execute(update(table).where(*mine).values({**values, "updated_at": to_us(now)}))
    return done.rowcount == 1


def _named(conn: Connection, user_id: UserId, folder_id: str, name: str) -> StoredFile | None:
    mine = (table.c.user_id == user_id, table.c.folder_id == folder_id, table.c.name == name)
    row = conn.execute(_FILES.where(*mine)).first()
    return None if row is None else file_of(row)


def _free_name(conn: Connection, file: StoredFile) -> str:
    """The first of `name_(1).txt`, `name_(2).txt`, … that is free."""
    path = PurePath(file.name)
    stem = file.name.removesuffix(path.suffix)
    for number in range(1, SUFFIXES_MAX):
        name = f"{stem}_({number}){path.suffix}"
        if _named(conn, file.user_id, file.folder_id, name) is None:
            return name
    raise Conflict(f"There are {SUFFIXES_MAX} files named {file.name!r} in the folder already.")


def _check_room(conn: Connection, file: StoredFile, bytes_max: int) -> None:
    held = select(func.count(), func.coalesce(func.sum(table.c.size_bytes), 0))
    count, size = conn.execute(held.where(table.c.user_id == file.user_id)).one()
    if count >= FILES_MAX:
        raise Invalid(f"There are {FILES_MAX} files already, which is the limit; delete some first.")
    if int(size) + file.size_bytes > bytes_max:
        raise Invalid(
            f"With this file all files would have more than {bytes_max} bytes (RUNSTEAD_FILES_BYTES_MAX);"
            " delete some first."
        )


def _row(file: StoredFile, now: datetime) -> dict[str, object]:
    return {
        "id": file.id,
        "user_id": file.user_id,
        "folder_id": file.folder_id,
        "name": file.name,
        "original_name": file.original_name,
        "kind": file.kind,
        "size_bytes": file.size_bytes,
        "status": file.status.value,
        "chunks_done": 0,
        "attempts": 0,
        "due_at": to_us(now),
        "created_at": to_us(file.created_at),
        "updated_at": to_us(file.updated_at),
    }
