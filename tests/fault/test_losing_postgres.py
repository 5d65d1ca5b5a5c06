"""Losing PostgreSQL: it is killed, stalls, restarts or ends connections while it is read and written.

Errors come within their time and say so, what was acknowledged is there, and the pool recovers without anybody's help.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from tests.services import PostgresServer
from tests.world import wait_for, wait_until

from runstead.errors import OutcomeUnknown, Unavailable
from runstead.store.postgres import PostgresDatabase

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
# Where nothing may go wrong, nothing does for the machine's being slow; where it must, that is soon.
PATIENT_S, HASTY_S = 60.0, 2.0
# Long after the time of the hasty, long before that of the patient.
TOLD_S = 30.0
# How long something lasts that is ended by the test, and never by itself.
FOR_EVER_S = 40
POOL = 4


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A PostgreSQL of this file's own: others must not notice."""
    with PostgresServer() as started:
        yield started


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """A database with one table of numbers."""
    made = server.new_database()
    server.sql("CREATE TABLE numbers (n BIGINT PRIMARY KEY)", made)
    yield made
    server.drop_database(made)


@pytest.fixture
async def db(url: str) -> AsyncIterator[PostgresDatabase]:
    """A store that waits."""
    made = PostgresDatabase(url, pool_size=POOL, timeout_s=PATIENT_S)
    yield made
    await made.close()


@pytest.fixture
async def hasty(url: str) -> AsyncIterator[PostgresDatabase]:
    """A store whose operations take two seconds at most."""
    made = PostgresDatabase(url, pool_size=POOL, timeout_s=HASTY_S)
    yield made
    await made.close()


def put(conn: Connection, number: int) -> None:
    """Store a number; raises where it is there already."""
    conn.execute(text("INSERT INTO numbers VALUES (:n)"), {"n": number})


def numbers(conn: Connection) -> list[int]:
    """What is stored."""
    return list(conn.scalars(text("SELECT n FROM numbers ORDER BY n")))


async def refused(db: PostgresDatabase, server: PostgresServer) -> Unavailable:
    """The error of a read and of a write, which come in time."""
    began = time.monotonic()
    found = await asyncio.gather(db.read(numbers), db.write(put, -1), return_exceptions=True)
    assert time.monotonic() - began < TOLD_S
    for error in found:
        assert isinstance(error, Unavailable), found
        assert error.status == 503
        assert error.retry_after_s
        assert f"127.0.0.1:{server.port}" in error.detail
    assert isinstance(found[0], Unavailable)
    return found[0]


async def test_killed_and_started_again(server: PostgresServer, db: PostgresDatabase) -> None:
    """While it is away everything is refused at once; when it is back everything works, and nothing is lost."""
    await db.write(put, 1)
    server.kill()

    assert "refused" in (await refused(db, server)).detail

    server.start()
    assert [1] == await db.read(numbers)
    await db.write(put, 2)
    assert [1, 2] == await db.read(numbers)


async def test_a_restart_between_two_queries_is_not_noticed(
    server: PostgresServer, db: PostgresDatabase
) -> None:
    """Connections that died while nobody used them are replaced before anybody is told."""
    await asyncio.gather(*(db.write(put, n) for n in range(POOL)))
    for number in range(POOL, POOL + 3):
        server.restart()
        if number % 2:
            await db.write(put, number)
        else:
            assert list(range(number)) == await db.read(numbers)
            await db.write(put, number)

    assert list(range(POOL + 3)) == await db.read(numbers)


async def test_connections_that_an_administrator_ends_are_replaced(
    server: PostgresServer, url: str, db: PostgresDatabase
) -> None:
    """A query whose connection is ended under it runs again on a new one, if it had not committed."""
    running = asyncio.Event()

    def slow(conn: Connection, number: int) -> None:
        put(conn, number)
        asyncio.get_running_loop().call_soon(running.set)
        conn.execute(text("SELECT pg_sleep(0.2)"))

    for number in range(3):
        running.clear()
        async with asyncio.TaskGroup() as group:
            writing = group.create_task(db.write(slow, number))
            await running.wait()
            server.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'runstead'",
                url,
            )
        assert writing.exception() is None

    assert [0, 1, 2] == await db.read(numbers)


async def test_a_stall_is_waited_for_no_longer_than_agreed(
    server: PostgresServer, db: PostgresDatabase, hasty: PostgresDatabase
) -> None:
    """A server that hangs answers nobody: more queries than connections all end in time, and go on afterwards."""
    await db.write(put, 1)
    await again(hasty)
    server.stall()
    try:
        began = time.monotonic()
        found = await asyncio.gather(*(hasty.read(numbers) for _ in range(3 * POOL)), return_exceptions=True)
        assert time.monotonic() - began < TOLD_S
        assert 3 * POOL == len([error for error in found if isinstance(error, Unavailable)])
        await refused(hasty, server)
    finally:
        server.resume()

    assert [1] == [n for n in await again(hasty) if n >= 0]


async def again(db: PostgresDatabase) -> list[int]:
    """What is stored, once a hasty store has it: a slow machine may refuse it for a while."""
    found: list[list[int]] = []

    async def answers() -> bool:
        with contextlib.suppress(Unavailable):
            found.append(await db.read(numbers))
        return bool(found)

    await wait_for(answers, "the store's answer")
    return found[0]


async def test_a_short_stall_is_only_waited_for(server: PostgresServer, db: PostgresDatabase) -> None:
    """What takes less than the limit fails nobody."""
    await db.write(put, 1)
    server.stall()
    asyncio.get_running_loop().call_later(HASTY_S / 8, server.resume)
    assert [1] == await db.read(numbers)


async def test_an_outcome_that_nobody_knows_is_told_as_such(
    server: PostgresServer, db: PostgresDatabase
) -> None:
    """The connection is lost while the commit is under way: the error says that it may have happened, once."""

    def slow_commit(conn: Connection) -> None:
        conn.execute(
            text(
                "CREATE FUNCTION pause() RETURNS trigger LANGUAGE plpgsql AS"
                f" $$ BEGIN PERFORM pg_sleep({FOR_EVER_S}); RETURN NULL; END $$"
            )
        )
        conn.execute(
            text(
                "CREATE CONSTRAINT TRIGGER pausing AFTER INSERT ON numbers DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION pause()"
            )
        )

    await db.write(slow_commit)
    written = 0

    def counted(conn: Connection) -> None:
        nonlocal written
        written += 1
        put(conn, written)

    async with asyncio.TaskGroup() as group:
        writing = group.create_task(told(db.write(counted)))
        await wait_until(lambda: written == 1, "the insert was sent")
        # The pause of the deferred trigger is in the commit: the statement before it has answered long ago.
        await wait_until(lambda: "COMMIT" in active(server), "the commit is under way")
        server.kill()
    server.start()

    assert isinstance(writing.result(), OutcomeUnknown)
    assert 1 == written
    assert [] == await db.read(numbers)


async def told(writing: object) -> BaseException | None:
    """The error of what is awaited."""
    try:
        await writing  # type: ignore[misc]
    except Unavailable as error:
        return error
    return None


def active(server: PostgresServer) -> str:
    """The statements that run for us now."""
    return server.sql(
        "SELECT query FROM pg_stat_activity WHERE application_name = 'runstead' AND state = 'active'"
    )


async def test_what_was_acknowledged_survives_every_kill(
    server: PostgresServer, db: PostgresDatabase
) -> None:
    """Under a load of writes it is killed again and again: every number that was acknowledged is there, once."""
    acknowledged: set[int] = set()
    doubtful: set[int] = set()
    done = False

    async def writer(first: int) -> None:
        number = first
        while not done:
            try:
                await db.write(put, number)
                acknowledged.add(number)
            except OutcomeUnknown:
                doubtful.add(number)
            except Unavailable:
                await asyncio.sleep(0)
            number += POOL

    async with asyncio.TaskGroup() as group:
        for first in range(POOL):
            group.create_task(writer(first))
        for _ in range(4):
            seen = len(acknowledged)
            await wait_until(lambda seen=seen: len(acknowledged) > seen + 50, "more writes")
            await asyncio.to_thread(server.restart)
        seen = len(acknowledged)
        await wait_until(lambda: len(acknowledged) > seen + 50, "writes after the last restart")
        done = True

    stored = set(await db.read(numbers))
    assert not acknowledged - stored
    assert not stored - acknowledged - doubtful


async def test_who_waits_too_long_for_a_lock_is_told(
    server: PostgresServer, db: PostgresDatabase, hasty: PostgresDatabase
) -> None:
    """A lock that somebody keeps ends in an error, not in a request that never ends; the connection stays."""

    def keep(conn: Connection) -> None:
        conn.execute(text("LOCK TABLE numbers"))
        conn.execute(text(f"SELECT pg_sleep({FOR_EVER_S})"))

    async def kept() -> None:
        with contextlib.suppress(DBAPIError, Unavailable):
            await db.write(keep)

    async with asyncio.TaskGroup() as group:
        group.create_task(kept())
        await wait_until(lambda: "pg_sleep" in active(server), "the table is locked")
        await refused(hasty, server)
        server.sql("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
    assert [] == await again(hasty)


async def test_a_process_that_hangs_in_a_transaction_lets_go(
    server: PostgresServer, url: str, db: PostgresDatabase, hasty: PostgresDatabase
) -> None:
    """Others get its locks after its time, and its write is known not to have happened."""

    def hang(conn: Connection) -> None:
        conn.execute(text("LOCK TABLE numbers"))
        put(conn, 1)
        # This process stands still, its event loop too, until another one gets the lock.
        server.sql("INSERT INTO numbers VALUES (2)", url)
        put(conn, 3)

    with pytest.raises(Unavailable) as caught:
        await hasty.write(hang)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert [2] == await db.read(numbers)


async def test_errors_of_queries_are_no_loss(db: PostgresDatabase) -> None:
    """A query's own error comes out as it is, and changes nothing for others."""
    await db.write(put, 1)
    with pytest.raises(DBAPIError, match="duplicate key"):
        await db.write(put, 1)
    with pytest.raises(KeyError):
        await db.read(lambda conn: {}[numbers(conn)[0]])
    assert [1] == await db.read(numbers)


@pytest.mark.parametrize(
    "state",
    [
        "08006",  # the connection failed
        "25006",  # this server follows another one now, and takes no writes
        "25P03",
        "53100",  # the disk is full
        "53200",  # there is no memory
        "53300",  # there are too many connections
        "57P01",  # it is being stopped
        "57P02",  # another of its processes crashed
        "57P03",  # it is not up yet
        "58030",  # a file cannot be read
    ],
)
async def test_whatever_it_says_of_its_trouble_is_a_loss(
    server: PostgresServer, db: PostgresDatabase, state: str
) -> None:
    """A server that still answers, but cannot do it now: 503, nothing is changed, and afterwards all is as before."""

    def fails(conn: Connection) -> None:
        put(conn, 1)
        conn.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{state}'; END $$")

    with pytest.raises(Unavailable, match=f"127.0.0.1:{server.port}") as caught:
        await db.write(fails)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert [] == await db.read(numbers)
    await db.write(put, 1)


async def test_a_read_that_writes_is_a_mistake_and_no_loss(db: PostgresDatabase) -> None:
    """It is told as one, not as something that passes."""
    with pytest.raises(DBAPIError, match="read-only"):
        await db.read(put, 1)


@pytest.mark.parametrize("error", [ConnectionResetError("reset"), RuntimeError("the handler is closed")])
async def test_an_error_of_the_network_that_nobody_translated(db: PostgresDatabase, error: Exception) -> None:
    """It is a loss where the connection is gone with it, and a query's own where it is not."""

    def breaks(conn: Connection, *, gone: bool) -> None:
        if gone:
            raw: Any = conn.connection.driver_connection
            raw.terminate()
        raise error

    with pytest.raises(Unavailable, match="cannot be used"):
        await db.write(breaks, gone=True)
    with pytest.raises(type(error)):
        await db.write(breaks, gone=False)
    assert [] == await db.read(numbers)


async def test_a_read_whose_answer_is_there_needs_nothing_more(
    server: PostgresServer, url: str, db: PostgresDatabase
) -> None:
    """Its connection dies right after the rows came: they are given, and nobody is told of something stored."""
    await db.write(put, 1)

    def ended(conn: Connection) -> list[int]:
        found = numbers(conn)
        server.sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'runstead'", url
        )
        return found

    assert [1] == await db.read(ended)
    assert [1] == await db.read(numbers)


async def test_closing_waits_for_what_was_given(url: str) -> None:
    """What was asked for before is done; what comes after is refused."""
    db = PostgresDatabase(url, pool_size=1)
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(db.write(put, n)) for n in range(5)]
        await asyncio.sleep(0)
        await db.close()
    assert all(each.done() for each in writing)
    with pytest.raises(Unavailable):
        await db.read(numbers)
