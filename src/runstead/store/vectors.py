"""The vectors of passages: which are missing, who makes them, and what lies near a question.

`nearest` names the actor, as every query for a client does; what finds and keeps missing vectors is the server's own
work and looks at all. An archive without a model has the server's, `default`; where that is None too, it has no vectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    text,
    update,
)

from runstead.domain.embedding import Vector
from runstead.ids import PassageId, UserId
from runstead.store import distance
from runstead.store.archives import held_by
from runstead.store.codec import to_us
from runstead.store.locks import hold
from runstead.store.passages import FoundPassage, PassageFilter, conditions, passage_of, search_passages
from runstead.store.schema import archives, passages
from runstead.store.schema import passage_vectors as table

MODELS_MAX = 100


@dataclass(frozen=True, slots=True)
class Waiting:
    """A passage whose vector is missing. `position` grows with every passage that is written."""

    id: PassageId
    text: str
    position: int


def models_searched(
    conn: Connection, user_id: UserId, where: PassageFilter, default: str | None
) -> list[str]:
    """The models of the archives that a search looks into, each once."""
    query = select(_model(default)).where(archives.c.user_id == user_id)
    if where.archive_id is not None:
        query = query.where(archives.c.id == where.archive_id)
    if where.agent_id is not None:
        query = query.where(archives.c.id.in_(held_by(user_id, where.agent_id)))
    return _each(conn, query)


def models_used(conn: Connection, default: str | None) -> list[str]:
    """The models of all archives of all actors, each once."""
    return _each(conn, select(_model(default)))


def nearest(
    conn: Connection, user_id: UserId, model: str, asked: Vector, where: PassageFilter, limit: int
) -> list[FoundPassage]:
    """The passages whose vectors lie nearest, the best first. Vectors of another model or length are not looked at."""
    some = (
        select(table.c.passage_id, table.c.vector)
        .join(passages, passages.c.id == table.c.passage_id)
        .where(
            *conditions(user_id, where),
            table.c.model == model,
            table.c.dimensions == len(asked),
            table.c.vector.is_not(None),
        )
        .order_by(passages.c.position.desc())
        .limit(distance.compared_max(conn))
        .subquery()
    )
    far = distance.distance(conn, some, some.c.vector, asked).label("distance")
    best = (
        select(some.c.passage_id, far).order_by(text("distance"), some.c.passage_id).limit(limit).subquery()
    )
    query = (
        select(*passages.c, best.c.distance)
        .join(best, best.c.passage_id == passages.c.id)
        .where(passages.c.user_id == user_id)
        .order_by(best.c.distance, passages.c.created_at.desc(), passages.c.id)
    )
    return [FoundPassage(passage_of(row), 1.0 - float(row.distance) ** 2 / 2) for row in conn.execute(query)]


def orders(
    conn: Connection,
    user_id: UserId,
    words: str,
    asked: Sequence[tuple[str, Vector]],
    where: PassageFilter,
    limit: int,
) -> list[list[FoundPassage]]:
    """What is found by words, and by the vector that each model made of them, in one snapshot."""
    return [
        search_passages(conn, user_id, words, where, limit),
        *(nearest(conn, user_id, model, vector, where, limit) for model, vector in asked),
    ]


def missing(
    conn: Connection, model: str, default: str | None, now: datetime, after: int, limit: int
) -> list[Waiting]:
    """Passages behind a position whose archive has this model and whose vector is not there, oldest first."""
    query = (
        select(passages.c.id, passages.c.text, passages.c.position)
        .select_from(archives.join(passages, passages.c.archive_id == archives.c.id))
        .outerjoin(table, table.c.passage_id == passages.c.id)
        .where(_model(default) == model, passages.c.position > after, _is_missing(model, now))
        .order_by(passages.c.position)
        .limit(limit)
    )
    return [Waiting(PassageId(row.id), row.text, int(row.position)) for row in conn.execute(query)]


def claim(
    conn: Connection, passage_ids: Sequence[PassageId], model: str, now: datetime, until: datetime
) -> set[PassageId]:
    """Take passages to make their vectors; gives those that nobody else has taken meanwhile.

    Who does not bring the vectors by then loses them: they are missing again.
    """
    hold(conn, "runstead:vectors")
    query = (
        select(passages.c.id)
        .outerjoin(table, table.c.passage_id == passages.c.id)
        .where(passages.c.id.in_(passage_ids), _is_missing(model, now))
    )
    taken = {PassageId(each) for each in conn.scalars(query)}
    if taken:
        conn.execute(delete(table).where(table.c.passage_id.in_(taken)))
        rows = [{"passage_id": each, "model": model, "due_at": to_us(until)} for each in sorted(taken)]
        conn.execute(insert(table), rows)
    return taken


def keep(conn: Connection, model: str, made: Mapping[PassageId, Vector]) -> None:
    """Store vectors of passages that were claimed for this model; those of deleted passages are let go."""
    for passage_id, vector in made.items():
        mine = update(table).where(table.c.passage_id == passage_id, table.c.model == model)
        conn.execute(mine.values(dimensions=len(vector), vector=distance.stored(conn, vector)))


def put_off(conn: Connection, passage_ids: Sequence[PassageId], model: str, until: datetime) -> None:
    """Say that passages are missing again from then on."""
    mine = (table.c.passage_id.in_(passage_ids), table.c.model == model, table.c.vector.is_(None))
    conn.execute(update(table).where(*mine).values(due_at=to_us(until)))


def vector_count(conn: Connection, user_id: UserId, archive_id: str) -> int:
    """How many passages of an archive of this actor have a vector."""
    query = (
        select(func.count())
        .select_from(table.join(passages, passages.c.id == table.c.passage_id))
        .where(
            passages.c.user_id == user_id, passages.c.archive_id == archive_id, table.c.vector.is_not(None)
        )
    )
    return conn.scalar(query) or 0


def _model(default: str | None) -> ColumnElement[str | None]:
    return archives.c.embedding if default is None else func.coalesce(archives.c.embedding, literal(default))


def _each(conn: Connection, query: Select[Any]) -> list[str]:
    return sorted(str(each) for each in conn.scalars(query.distinct().limit(MODELS_MAX)) if each is not None)


def _is_missing(model: str, now: datetime) -> ColumnElement[bool]:
    return or_(
        table.c.passage_id.is_(None),
        table.c.model != model,
        and_(table.c.vector.is_(None), table.c.due_at <= to_us(now)),
    )
