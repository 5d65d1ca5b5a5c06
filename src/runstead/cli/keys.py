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

from runstead.cli.folder import make_folder, settings_of
from runstead.cli.screen import json_line, table
from runstead.clock import Clock, SystemClock
from runstead.domain.actor import ApiKey
from runstead.ids import DEFAULT_USER, RandomIds, UserId
from runstead.settings import Settings
from runstead.store import actors, keys
from runstead.store.database import Database
from runstead.store.migrate import migrate
from runstead.store.sqlite import SqliteDatabase

HEAD = ("ID", "NAME", "BEGINS", "USER", "MAY", "MADE", "USED", "REVOKED")


def run(given: Namespace) -> int:
    """Do the action that was named. Raises `NotFound` for an unknown user or key."""
    settings = settings_of(given)
    make_folder(settings)
    migrate(settings.database)
    return asyncio.run(_with_database(given, settings))


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
            _show(
                given,
                key,
                f"{text}\nThis is {key.name!r} ({key.id}), for {key.user_id}. It is not shown again.",
                text,
            )
        case "list":
            _list(given, await db.read(keys.list_keys))
        case _:
            key = await db.write(keys.revoke_key, given.key_id, clock.now())
            _show(given, key, f"{key.name!r} ({key.id}) is revoked.")


def _list(given: Namespace, found: Sequence[ApiKey]) -> None:
    if given.json:
        for key in found:
            json_line(_document(key))
    elif found:
        table(HEAD, [_row(key) for key in found])
    else:
        print("There are no keys. Make one with `runstead keys create NAME`.")


def _show(given: Namespace, key: ApiKey, told: str, text: str | None = None) -> None:
    """Say what became of one key. `text` is the key itself, which only its maker is shown."""
    if given.json:
        json_line(_document(key) | ({} if text is None else {"key": text}))
    else:
        print(told)


def _document(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.id,
        "name": key.name,
        "begins": key.hint,
        "user_id": key.user_id,
        "admin": key.admin,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def _row(key: ApiKey) -> tuple[str, ...]:
    may = "administer" if key.admin else "use"
    times = (key.created_at, key.last_used_at, key.revoked_at)
    return (key.id, key.name, key.hint + "…", key.user_id, may, *map(_minute, times))


def _minute(at: datetime | None) -> str:
    return "-" if at is None else f"{at:%Y-%m-%d %H:%M}Z"
