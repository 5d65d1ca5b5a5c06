"""Passages: their rows, and how they are found by words. Every query names the actor.

Words are kept by the database itself: FTS5 on SQLite, an index over `to_tsvector` on PostgreSQL. What is asked for in plain
language is split here, so that no query of a client is ever read as the database's own query language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    Row,
    Select,
    delete,
    func,
    insert,
    literal,
    literal_column,
    select,
    text,
)
from sqlalchemy import (
    table as named_table,
)

from runstead.domain.agent import Agent
from runstead.domain.archive import Passage, PieceOf
from runstead.errors import NotFound
from runstead.ids import ArchiveId, FileId, FolderId, PassageId, UserId
from runstead.store.archives import archive_of, find_archive, held_by
from runstead.store.codec import from_us, pack, to_us, unpack
from runstead.store.pages import Page, paged
from runstead.store.schema import PASSAGE_WORDS, passage_tags
from runstead.store.schema import passages as table

WORDS_MAX = 64
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class PassageFilter:
    """Which passages of an actor. None and empty mean any; those of files only where `files` names them.

    `files` are the ids of files, as a query.
    """

    agent_id: str | None = None
    archive_id: str | None = None
    tags: tuple[str, ...] = ()
    match_all_tags: bool = False
    since: datetime | None = None
    until: datetime | None = None
    holds: str | None = None
    files: Select[Any] | None = None


@dataclass(frozen=True, slots=True)
class FoundPassage:
    """A passage and how well it fits: higher is better, and means nothing beyond one search."""

    passage: Passage
    score: float


def put_passages(conn: Connection, passages: Sequence[Passage]) -> None:
    """Store passages in an archive of their actor; one whose id is there already is not stored again.

    Raises `NotFound` where the archive is not the actor's.
    """
    for archive_id in {passage.archive_id for passage in passages if passage.piece_of is None}:
        if find_archive(conn, passages[0].user_id, archive_id) is None:
            raise NotFound(f"Archive {archive_id} not found")
    ids = [passage.id for passage in passages]
    there = set(conn.scalars(select(table.c.id).where(table.c.id.in_(ids))))
    for passage in passages:
        if passage.id in there:
            continue
        conn.execute(insert(table).values(_row(passage)))
        tags = [{"passage_id": passage.id, "tag": tag} for tag in dict.fromkeys(passage.tags)]
        if tags:
            conn.execute(insert(passage_tags), tags)


def put_for_agent(
    conn: Connection, agent: Agent, made: Callable[[ArchiveId], Passage], now: datetime
) -> Passage:
    """Store a passage in the archive that an agent writes into, which is given to `made`. Gives it as it is stored."""
    passage = made(archive_of(conn, agent, now))
    put_passages(conn, [passage])
    return passage


def find_passage(conn: Connection, user_id: UserId, passage_id: str) -> Passage | None:
    """One passage of this actor."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.id == passage_id)).first()
    return None if row is None else passage_of(row)


def list_passages(conn: Connection, user_id: UserId, where: PassageFilter, page: Page) -> list[Passage]:
    """A page of an actor's passages. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = select(table).where(*conditions(user_id, where))
    return [passage_of(row) for row in paged(conn, query, table, scope, page)]


def count_passages(conn: Connection, user_id: UserId, where: PassageFilter) -> int:
    """How many passages of an actor pass the filter."""
    query = select(func.count()).select_from(table).where(*conditions(user_id, where))
    return conn.scalar(query) or 0


def delete_passage(conn: Connection, user_id: UserId, passage_id: str, where: PassageFilter) -> bool:
    """Delete a passage that passes the filter; False where there is none."""
    mine = (table.c.id == passage_id, *conditions(user_id, where))
    return conn.execute(delete(table).where(*mine)).rowcount == 1


def delete_of_file(conn: Connection, file_id: FileId) -> None:
    """Delete every passage of a file that its actor looked up in this transaction."""
    conn.execute(delete(table).where(table.c.file_id == file_id))


def search_passages(
    conn: Connection, user_id: UserId, words: str, where: PassageFilter, limit: int
) -> list[FoundPassage]:
    """The passages that hold most of what is asked for, the best first; the newest, where nothing is asked for.

    Where no word is found as a word, the whole text is looked for as it stands, letter case aside: languages that do not
    put spaces between words are found so.
    """
    wanted = _WORD.findall(words)[:WORDS_MAX]
    wanted_only = conditions(user_id, where)
    if wanted:
        found = _by_words(conn, wanted).where(*wanted_only)
        rows = list(conn.execute(found.limit(limit)))
        if rows:
            return [FoundPassage(passage_of(row), float(row.score)) for row in rows]
    if words.strip():
        wanted_only.append(_holds(words.strip()))
    query = select(table).where(*wanted_only).order_by(table.c.created_at.desc(), table.c.id.desc())
    return [FoundPassage(passage_of(row), 0.0) for row in conn.execute(query.limit(limit))]


def _by_words(conn: Connection, wanted: Sequence[str]) -> Select[Any]:
    if conn.dialect.name == "sqlite":
        asked = " OR ".join(f'"{word}"' for word in wanted)
        words = named_table(PASSAGE_WORDS)
        score: ColumnElement[float] = literal_column(f"-bm25({PASSAGE_WORDS})", Float)
        query = select(*table.c, score.label("score")).join(
            words, text(f"{PASSAGE_WORDS}.rowid = passages.position")
        )
        query = query.where(text(f"{PASSAGE_WORDS} MATCH :asked").bindparams(asked=asked))
    else:
        vector = func.to_tsvector(literal_column("'simple'"), table.c.text)
        asked_for = func.to_tsquery(literal_column("'simple'"), " | ".join(f"'{word}'" for word in wanted))
        score = func.ts_rank(vector, asked_for)
        query = select(*table.c, score.label("score")).where(vector.op("@@")(asked_for))
    return query.order_by(text("score DESC"), table.c.created_at.desc(), table.c.id)


def conditions(user_id: UserId, where: PassageFilter) -> list[ColumnElement[bool]]:
    """What a passage must be to pass: the actor's, first of all."""
    found: list[ColumnElement[bool]] = [table.c.user_id == user_id]
    found.append(table.c.file_id.is_(None) if where.files is None else table.c.file_id.in_(where.files))
    if where.archive_id is not None:
        found.append(table.c.archive_id == where.archive_id)
    if where.agent_id is not None:
        found.append(table.c.archive_id.in_(held_by(user_id, where.agent_id)))
    if where.since is not None:
        found.append(table.c.created_at >= to_us(where.since))
    if where.until is not None:
        found.append(table.c.created_at <= to_us(where.until))
    if where.holds:
        found.append(_holds(where.holds))
    if where.tags:
        found.append(_tagged(where))
    return found


def _holds(words: str) -> ColumnElement[bool]:
    return func.lower(table.c.text).contains(words.lower(), autoescape=True)


def _tagged(where: PassageFilter) -> ColumnElement[bool]:
    wanted = set(where.tags)
    matches = (
        select(func.count())
        .select_from(passage_tags)
        .where(passage_tags.c.passage_id == table.c.id, passage_tags.c.tag.in_(wanted))
        .correlate(table)
        .scalar_subquery()
    )
    return matches >= literal(len(wanted) if where.match_all_tags else 1)


def _row(passage: Passage) -> dict[str, object]:
    document: dict[str, object] = {}
    if passage.tags:
        document["tags"] = list(passage.tags)
    if passage.metadata:
        document["metadata"] = dict(passage.metadata)
    if passage.piece_of is not None:
        document["piece_of"] = asdict(passage.piece_of)
    return {
        "id": passage.id,
        "user_id": passage.user_id,
        "archive_id": passage.archive_id,
        "text": passage.text,
        "created_at": to_us(passage.created_at),
        "updated_at": to_us(passage.updated_at),
        "document": pack(document),
        "file_id": None if passage.piece_of is None else passage.piece_of.file_id,
    }


def passage_of(row: Row[Any]) -> Passage:
    """A row as a passage."""
    document = unpack(row.document)
    return Passage(
        id=PassageId(row.id),
        user_id=UserId(row.user_id),
        archive_id=ArchiveId(row.archive_id),
        text=row.text,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        tags=tuple(document.get("tags", ())),
        metadata=document.get("metadata", {}),
        piece_of=_piece_of(document.get("piece_of")),
    )


def _piece_of(document: dict[str, Any] | None) -> PieceOf | None:
    if document is None:
        return None
    return PieceOf(
        FileId(document["file_id"]),
        document["file_name"],
        FolderId(document["folder_id"]),
        document["first_line"],
        document["last_line"],
    )
