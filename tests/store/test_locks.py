"""Locks by name: who holds one lets no other transaction have it, and names in any order make no circle."""

from __future__ import annotations

import asyncio

from sqlalchemy import Connection, text

from runstead.store.locks import hold
from runstead.store.postgres import PostgresDatabase


async def test_a_name_is_held_by_one(postgres_url: str) -> None:
    """What two transactions do under a name does not overlap; under two names it does not matter who names which first."""
    db = PostgresDatabase(postgres_url, timeout_s=60)
    inside, most = 0, 0

    def work(conn: Connection, *names: str) -> None:
        nonlocal inside, most
        hold(conn, *names)
        inside += 1
        most = max(most, inside)
        conn.execute(text("SELECT pg_sleep(0.005)"))
        inside -= 1

    await asyncio.gather(*(db.write(work, *(("a", "b") if n % 2 else ("b", "a", "b"))) for n in range(10)))
    assert most == 1

    def meet(conn: Connection, name: str) -> None:
        nonlocal inside, most
        hold(conn, name)
        inside += 1
        while most < 2:  # who is here first stays until another one is
            most = max(most, inside)
            conn.execute(text("SELECT pg_sleep(0.001)"))
        inside -= 1

    await asyncio.gather(*(db.write(meet, f"name-{n}") for n in range(4)))
    await db.close()


def test_a_lock_costs_sqlite_nothing(conn: Connection) -> None:
    """It is no statement there; on PostgreSQL the same transaction may take it again."""
    hold(conn)
    hold(conn, "a", "b")
    hold(conn, "a")
