"""Lists in pages, by key: a cursor means the order of the list it stands in.

`after=X` is the page that follows X, `before=X` the one that precedes it, whether the list ascends or descends; with both,
what lies between. Items of one moment are ordered by id. An unknown cursor is an error, never the first page again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, Table, func, select, tuple_

from runstead.errors import NotFound

LIMIT_MAX = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list. `limit` is at most `LIMIT_MAX`; `after` and `before` are ids of items of the list."""

    limit: int = 100
    ascending: bool = False
    after: str | None = None
    before: str | None = None
    order_by: str = "created_at"


def paged(
    conn: Connection, query: Select[Any], table: Table, scope: ColumnElement[bool], page: Page
) -> list[Row[Any]]:
    """The rows of `page` of a filtered `query` on `table`, in the list's order.

    `scope` says whose items a cursor may name. `table` has `id` and the column `page.order_by`.
    Raises `NotFound` for a cursor outside the scope.
    """
    given = table.c[page.order_by]
    # A row without the value counts as the oldest: a comparison with NULL would drop it from every page.
    column = func.coalesce(given, 0) if given.nullable else given
    key = tuple_(column, table.c.id)
    for cursor, follows in ((page.after, True), (page.before, False)):
        if cursor is not None:
            at = _key_of(conn, table, scope, column, cursor)
            query = query.where(key > at if follows == page.ascending else key < at)
    # Only `before`: the page ends at the cursor, so it is cut from that end and turned round.
    backwards = page.before is not None and page.after is None
    if page.ascending != backwards:
        query = query.order_by(column.asc(), table.c.id.asc())
    else:
        query = query.order_by(column.desc(), table.c.id.desc())
    rows = list(conn.execute(query.limit(page.limit)))
    return rows[::-1] if backwards else rows


def _key_of(
    conn: Connection, table: Table, scope: ColumnElement[bool], column: ColumnElement[Any], cursor: str
) -> tuple[object, str]:
    value = conn.execute(select(column).where(scope, table.c.id == cursor)).first()
    if value is None:
        raise NotFound(f"No item with the id {cursor} is in this list; give the id of a listed item.")
    return value[0], cursor
