"""`runstead keys`: make, list and revoke API keys, on the data folder's own database, whether a server runs or not.

A key's text is printed once, when it is made; the database has only its SHA-256. A running server takes up a change within
seconds.
"""

from __future__ import annotations

import asyncio
from argparse import Namespace
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from runstead.clock import Clock, SystemClock
from runstead.domain.actor import ApiKey
from runstead.errors import CannotStart
from runstead.ids import DEFAULT_USER, RandomIds, UserId
from runstead.settings import Settings, from_environment
from runstead.store import actors, keys
from runstead.store.database import Database
from runstead.store.migrate import migrate
from runstead.store.sqlite import SqliteDatabase


def run(given: Namespace) -> int:
    """Do the action that was named. Raises `NotFound` for an unknown user or key."""
    settings = from_environment(data_dir=given.data_dir, database_url=None if given.data_dir is None else "")
    _make_folder(settings)
    migrate(settings.database)
    return asyncio.run(_with_database(given, settings))


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns of text, each as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    return "\n".join(line.rstrip() for line in lines)


def _make_folder(settings: Settings) -> None:
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotStart(
            f"The data folder {settings.data_dir} cannot be made ({error.strerror}); choose another with --data-dir."
        ) from error


async def _with_database(given: Namespace, settings: Settings) -> int:
    clock = SystemClock()
    db = SqliteDatabase(Path(settings.database.removeprefix("sqlite:///")))
    try:
        await db.write(actors.ensure_defaults, clock.now())
        await _act(given, db, clock)
    finally:
        await db.close()
    return 0


async def _act(given: Namespace, db: Database, clock: Clock) -> None:
    match given.action:
        case "create":
            user = UserId(given.user or DEFAULT_USER)
            key, text = await db.write(
                keys.create_key, user, given.name, admin=given.admin, ids=RandomIds(), now=clock.now()
            )
            print(f"{text}\nThis is {key.name!r} ({key.id}), for {key.user_id}. It is not shown again.")
        case "list":
            print(_listing(await db.read(keys.list_keys)))
        case _:
            key = await db.write(keys.revoke_key, given.key_id, clock.now())
            print(f"{key.name!r} ({key.id}) is revoked.")


def _listing(found: Sequence[ApiKey]) -> str:
    if not found:
        return "There are no keys. Make one with `runstead keys create NAME`."
    head = ("ID", "NAME", "BEGINS", "USER", "MAY", "MADE", "USED", "REVOKED")
    return table([head, *(_row(key) for key in found)])


def _row(key: ApiKey) -> tuple[str, ...]:
    may = "administer" if key.admin else "use"
    times = (key.created_at, key.last_used_at, key.revoked_at)
    return (key.id, key.name, key.hint + "…", key.user_id, may, *map(_minute, times))


def _minute(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}Z"
