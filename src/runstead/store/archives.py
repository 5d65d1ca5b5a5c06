"""Archives and which agents hold them. What is in them is `store/passages.py`'s.

Every query names the actor. An agent's first archive is the one that it writes into; it is made when it is first needed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, and_, delete, insert, select, update

from runstead.domain.agent import Agent
from runstead.domain.archive import Archive
from runstead.domain.embedding import embedding_named
from runstead.ids import AgentId, ArchiveId, UserId, stable_id
from runstead.store.codec import from_us, pack, to_us, unpack
from runstead.store.documents import member
from runstead.store.pages import Page, paged
from runstead.store.schema import agent_archives as links
from runstead.store.schema import agents
from runstead.store.schema import archives as table


@dataclass(frozen=True, slots=True)
class ArchiveFilter:
    """Which archives of an actor. None means any."""

    name: str | None = None
    agent_id: str | None = None


def insert_archive(conn: Connection, archive: Archive) -> None:
    """Store a new archive."""
    conn.execute(insert(table).values(_row(archive)))


def find_archive(conn: Connection, user_id: UserId, archive_id: str) -> Archive | None:
    """One archive of this actor."""
    row = conn.execute(select(table).where(_own(user_id), table.c.id == archive_id)).first()
    return None if row is None else _archive(row)


def list_archives(conn: Connection, user_id: UserId, where: ArchiveFilter, page: Page) -> list[Archive]:
    """A page of an actor's archives. Raises `NotFound` for an unknown cursor."""
    scope = _own(user_id)
    query = select(table).where(scope)
    if where.name is not None:
        query = query.where(table.c.name == where.name)
    if where.agent_id is not None:
        query = query.where(table.c.id.in_(held_by(user_id, where.agent_id)))
    return [_archive(row) for row in paged(conn, query, table, scope, page)]


def update_archive(
    conn: Connection, user_id: UserId, archive_id: str, values: dict[str, str | None], now: datetime
) -> Archive | None:
    """Change the name or the description of an archive; None where there is none."""
    mine = update(table).where(_own(user_id), table.c.id == archive_id)
    conn.execute(mine.values({**values, "updated_at": to_us(now)}))
    return find_archive(conn, user_id, archive_id)


def delete_archive(conn: Connection, user_id: UserId, archive_id: str) -> bool:
    """Delete an archive with its passages; False where there is none."""
    gone = conn.execute(delete(table).where(_own(user_id), table.c.id == archive_id))
    return gone.rowcount == 1


def attach(conn: Connection, user_id: UserId, agent_id: AgentId, archive_id: str, now: datetime) -> bool:
    """Give an agent an archive; again changes nothing. False where the actor has no such agent or archive.

    An archive that has no embedding model takes the agent's.
    """
    holder = select(member(agents.c.document, "embedding").label("embedding"))
    mine = conn.execute(holder.where(agents.c.id == agent_id, agents.c.user_id == user_id)).first()
    if mine is None or find_archive(conn, user_id, archive_id) is None:
        return False
    held = conn.scalar(
        select(links.c.archive_id).where(links.c.agent_id == agent_id, links.c.archive_id == archive_id)
    )
    if held is None:
        conn.execute(insert(links).values(agent_id=agent_id, archive_id=archive_id, attached_at=to_us(now)))
    _give_model(conn, user_id, archive_id, embedding_named(mine.embedding))
    return True


def detach(conn: Connection, user_id: UserId, agent_id: AgentId, archive_id: str) -> None:
    """Take an archive from an agent of this actor; the archive stays."""
    mine = select(agents.c.id).where(agents.c.id == agent_id, agents.c.user_id == user_id)
    conn.execute(delete(links).where(links.c.agent_id.in_(mine), links.c.archive_id == archive_id))


def held_by(user_id: UserId, agent_id: str) -> Select[Any]:
    """The ids of the archives that an agent of this actor holds, as a query."""
    return (
        select(links.c.archive_id)
        .join(agents, agents.c.id == links.c.agent_id)
        .where(links.c.agent_id == agent_id, agents.c.user_id == user_id)
    )


def holders(archive_id: str) -> Select[Any]:
    """The ids of the agents that hold an archive, as a query to filter agents by."""
    return select(links.c.agent_id).where(links.c.archive_id == archive_id)


def archive_of(conn: Connection, agent: Agent, now: datetime) -> ArchiveId:
    """The archive that an agent writes into: the first it was given, or one that is made for it now."""
    first = conn.scalar(
        select(links.c.archive_id)
        .where(links.c.agent_id == agent.id)
        .order_by(links.c.attached_at, links.c.archive_id)
        .limit(1)
    )
    model = embedding_named(agent.embedding)
    if first is not None:
        _give_model(conn, agent.user_id, first, model)
        return ArchiveId(first)
    own = own_archive(agent.id)
    if find_archive(conn, agent.user_id, own) is None:  # it may be there, taken from the agent
        name = f"{agent.name}'s archive"
        insert_archive(conn, Archive(own, agent.user_id, name, now, now, embedding=model))
    attach(conn, agent.user_id, agent.id, own, now)
    return own


def own_archive(agent_id: AgentId) -> ArchiveId:
    """The archive that is made for an agent which writes and was given none."""
    return ArchiveId(stable_id("archive", agent_id))


def follow(conn: Connection, agent: Agent) -> None:
    """Let the archive that was made for an agent have the agent's embedding model, which was changed."""
    mine = update(table).where(table.c.user_id == agent.user_id, table.c.id == own_archive(agent.id))
    conn.execute(mine.values(embedding=embedding_named(agent.embedding)))


def _give_model(conn: Connection, user_id: UserId, archive_id: str, model: str | None) -> None:
    """An archive without an embedding model takes that of the agent that holds it."""
    if model is not None:
        mine = (table.c.user_id == user_id, table.c.id == archive_id, table.c.embedding.is_(None))
        conn.execute(update(table).where(*mine).values(embedding=model))


def _own(user_id: UserId) -> ColumnElement[bool]:
    """An actor's archives, without those that folders have for the passages of their files."""
    return and_(table.c.user_id == user_id, table.c.folder_id.is_(None))


def _row(archive: Archive) -> dict[str, object]:
    return {
        "id": archive.id,
        "user_id": archive.user_id,
        "name": archive.name,
        "description": archive.description,
        "created_at": to_us(archive.created_at),
        "updated_at": to_us(archive.updated_at),
        "document": pack({"extra": dict(archive.extra)} if archive.extra else {}),
        "embedding": archive.embedding,
    }


def _archive(row: Row[Any]) -> Archive:
    return Archive(
        id=ArchiveId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        description=row.description,
        embedding=row.embedding,
        extra=unpack(row.document).get("extra", {}),
    )
