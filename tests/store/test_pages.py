"""Lists in pages: every cursor walk gives every item once, in the list's order."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection
from tests.store.rows import NOW, block, fresh_connection

from runstead.errors import NotFound
from runstead.ids import DEFAULT_USER, UserId
from runstead.store import blocks
from runstead.store.blocks import BlockFilter
from runstead.store.pages import Page

STRANGER = UserId("user-11111111-1111-4111-8111-111111111111")


def _ids(conn: Connection, **page: object) -> list[str]:
    found = blocks.list_blocks(conn, DEFAULT_USER, BlockFilter(), Page(**page))  # pyright: ignore[reportArgumentType]
    return [each.id for each in found]


@pytest.mark.slow
@given(moments=st.lists(st.integers(0, 3), max_size=12), limit=st.integers(1, 5), ascending=st.booleans())
def test_walking_by_cursor_gives_every_item_once(moments: list[int], limit: int, ascending: bool) -> None:
    with fresh_connection() as conn:
        made = [block(n, created_at=NOW + timedelta(seconds=at)) for n, at in enumerate(moments)]
        blocks.insert_blocks(conn, made)
        expected: list[str] = [
            b.id for b in sorted(made, key=lambda b: (b.created_at, b.id), reverse=not ascending)
        ]
        assert _ids(conn, ascending=ascending) == expected
        forwards: list[str] = []
        while page := _ids(conn, limit=limit, ascending=ascending, after=forwards[-1] if forwards else None):
            forwards += page
        assert forwards == expected
        backwards: list[str] = list(expected[-1:])
        while backwards and (page := _ids(conn, limit=limit, ascending=ascending, before=backwards[0])):
            backwards = page + backwards
        assert backwards == expected


def test_between_two_cursors(conn: Connection) -> None:
    made = [block(n, created_at=NOW + timedelta(seconds=n)) for n in range(5)]
    blocks.insert_blocks(conn, made)
    assert _ids(conn, ascending=True, after=made[0].id, before=made[4].id, limit=2) == [
        made[1].id,
        made[2].id,
    ]
    assert _ids(conn, after=made[4].id, before=made[0].id) == [made[3].id, made[2].id, made[1].id]
    assert _ids(conn, after=made[0].id, before=made[4].id) == []


def test_a_cursor_of_nobody_or_of_somebody_else(conn: Connection) -> None:
    blocks.insert_blocks(conn, [block(1)])
    for cursor in ("block-9", ""):
        with pytest.raises(NotFound):
            _ids(conn, after=cursor)
    with pytest.raises(NotFound):
        blocks.list_blocks(conn, STRANGER, BlockFilter(), Page(before=block(1).id))
