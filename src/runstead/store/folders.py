"""Folders, and which agents hold them. Their files are `store/files.py`'s; what attaching does, `store/agent_folders.py`'s.

Every query names the actor. What a folder's files say stands in an archive of the folder's own, which no list has.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from runstead.domain.embedding import embedding_named
from runstead.domain.folder import Folder
from runstead.errors import Conflict, Invalid
from runstead.ids import AgentId, ArchiveId, FolderId, UserId, stable_id
from runstead.store.codec import from_us, pack, to_us, unpack
from runstead.store.locks import hold
from runstead.store.pages import Page, paged
from runstead.store.schema import agent_folders as links
from runstead.store.schema import agents, archives
from runstead.store.schema import folders as table

FOLDERS_MAX = 1_000  # of one actor


@dataclass(frozen=True, slots=True)
class FolderFilter:
    """Which folders of an actor. None means any."""

    name: str | None = None
    agent_id: str | None = None


def archive_in(folder_id: FolderId) -> ArchiveId:
    """The archive in which the passages of a folder's files stand."""
    return ArchiveId(stable_id("archive", folder_id))


def insert_folder(conn: Connection, folder: Folder) -> None:
    """Store a new folder. Raises `Conflict` where its actor has one of that name, `Invalid` where it has too many."""
    _check_name(conn, folder.user_id, folder.name)
    if count_folders(conn, folder.user_id) >= FOLDERS_MAX:
        raise Invalid(f"There are {FOLDERS_MAX} folders already, which is the limit; delete some first.")
    conn.execute(insert(table).values(_row(folder)))
    conn.execute(
        insert(archives).values(
            id=archive_in(folder.id),
            user_id=folder.user_id,
            name=folder.name,
            created_at=to_us(folder.created_at),
            updated_at=to_us(folder.updated_at),
            document=pack({}),
            folder_id=folder.id,
            embedding=embedding_named(folder.embedding),
        )
    )


def find_folder(conn: Connection, user_id: UserId, folder_id: str) -> Folder | None:
    """One folder of this actor."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.id == folder_id)).first()
    return None if row is None else folder_of(row)


def find_by_name(conn: Connection, user_id: UserId, name: str) -> Folder | None:
    """The folder of this actor that has a name."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.name == name)).first()
    return None if row is None else folder_of(row)


def list_folders(conn: Connection, user_id: UserId, where: FolderFilter, page: Page) -> list[Folder]:
    """A page of an actor's folders. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = select(table).where(scope)
    if where.name is not None:
        query = query.where(table.c.name == where.name)
    if where.agent_id is not None:
        query = query.where(table.c.id.in_(held_by(user_id, where.agent_id)))
    return [folder_of(row) for row in paged(conn, query, table, scope, page)]


def count_folders(conn: Connection, user_id: UserId) -> int:
    """How many folders an actor has."""
    return conn.scalar(select(func.count()).select_from(table).where(table.c.user_id == user_id)) or 0


def update_folder(
    conn: Connection, user_id: UserId, folder_id: str, values: Mapping[str, Any], now: datetime
) -> Folder | None:
    """Change a folder's columns, and members of its document; None where there is none. Raises `Conflict` for a name."""
    before = find_folder(conn, user_id, folder_id)
    if before is None:
        return None
    if (name := values.get("name", before.name)) != before.name:
        _check_name(conn, user_id, name)
    columns = {each: values[each] for each in ("name", "description", "instructions") if each in values}
    document = _document(before) | {each: values[each] for each in ("metadata", "extra") if each in values}
    mine = update(table).where(table.c.user_id == user_id, table.c.id == folder_id)
    conn.execute(mine.values({**columns, "document": pack(document), "updated_at": to_us(now)}))
    return find_folder(conn, user_id, folder_id)


def delete_folder(conn: Connection, user_id: UserId, folder_id: str) -> None:
    """Delete a folder with its files and their passages."""
    gone = conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == folder_id))
    if gone.rowcount == 1:
        conn.execute(delete(archives).where(archives.c.user_id == user_id, archives.c.folder_id == folder_id))


def link(conn: Connection, agent_id: AgentId, folder_id: FolderId, now: datetime) -> None:
    """Note that an agent holds a folder; both are of the one actor, and looked up in this transaction."""
    conn.execute(insert(links).values(agent_id=agent_id, folder_id=folder_id, attached_at=to_us(now)))


def unlink(conn: Connection, agent_id: AgentId, folder_id: str) -> bool:
    """Note that an agent of the actor's no longer holds a folder; whether it did."""
    gone = delete(links).where(links.c.agent_id == agent_id, links.c.folder_id == folder_id)
    return conn.execute(gone).rowcount == 1


def folders_of_agent(conn: Connection, user_id: UserId, agent_id: AgentId) -> list[Folder]:
    """The folders that an agent of this actor holds, the one that it was given first first."""
    return folders_of_agents(conn, user_id, [agent_id])[agent_id]


def folders_of_agents(
    conn: Connection, user_id: UserId, agent_ids: Sequence[AgentId]
) -> dict[AgentId, list[Folder]]:
    """The folders that agents of this actor hold, in the order in which they were given."""
    found: dict[AgentId, list[Folder]] = {agent_id: [] for agent_id in agent_ids}
    query = (
        select(table, links.c.agent_id)
        .join(links, links.c.folder_id == table.c.id)
        .where(links.c.agent_id.in_(agent_ids), table.c.user_id == user_id)
        .order_by(links.c.attached_at, table.c.id)
    )
    for row in conn.execute(query):
        found[AgentId(row.agent_id)].append(folder_of(row))
    return found


def held_by(user_id: UserId, agent_id: str) -> Select[Any]:
    """The ids of the folders that an agent of this actor holds, as a query."""
    return (
        select(links.c.folder_id)
        .join(agents, agents.c.id == links.c.agent_id)
        .where(links.c.agent_id == agent_id, agents.c.user_id == user_id)
    )


def list_held_ids(conn: Connection, user_id: UserId, agent_id: str) -> set[str]:
    """The ids of the folders that an agent of this actor holds."""
    return set(conn.scalars(held_by(user_id, agent_id)))


def folder_holders(folder_id: str) -> Select[Any]:
    """The ids of the agents that hold a folder, as a query to filter agents by."""
    return select(links.c.agent_id).where(links.c.folder_id == folder_id)


def folder_of(row: Row[Any]) -> Folder:
    """A row as a folder."""
    document = unpack(row.document)
    return Folder(
        id=FolderId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        description=row.description,
        instructions=row.instructions,
        embedding=document.get("embedding"),
        metadata=document.get("metadata", {}),
        extra=document.get("extra", {}),
    )


def _check_name(conn: Connection, user_id: UserId, name: str) -> None:
    hold(conn, f"runstead:folders:{user_id}")
    if find_by_name(conn, user_id, name) is not None:
        raise Conflict(f"There is a folder named {name!r} already; choose another name.")


def _document(folder: Folder) -> dict[str, object]:
    return {"embedding": folder.embedding, "metadata": folder.metadata, "extra": folder.extra}


def _row(folder: Folder) -> dict[str, object]:
    return {
        "id": folder.id,
        "user_id": folder.user_id,
        "name": folder.name,
        "description": folder.description,
        "instructions": folder.instructions,
        "created_at": to_us(folder.created_at),
        "updated_at": to_us(folder.updated_at),
        "document": pack(_document(folder)),
    }
