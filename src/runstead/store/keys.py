"""API keys. Only a key's SHA-256 is stored, so that who reads the database can act as nobody.

A key is 256 random bits, which no one guesses: a plain digest is enough, and finding it by equality tells nothing about it.
"""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, exists, insert, select, update

from runstead.domain.actor import ApiKey
from runstead.errors import NotFound
from runstead.ids import Ids, KeyId, UserId
from runstead.store import actors
from runstead.store.codec import from_us, to_us
from runstead.store.schema import api_keys as table

KEY_PREFIX = "rs-"
KEY_BYTES = 32
_HINT_CHARS = 4

_BY_DIGEST = select(table).where(table.c.digest == bindparam("digest"), table.c.revoked_at.is_(None))
_ANY = select(exists().where(table.c.revoked_at.is_(None)))


def digest_of(key: str) -> str:
    """What is stored of a key."""
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).hexdigest()


def create_key(
    conn: Connection, user_id: UserId, name: str, *, admin: bool, ids: Ids, now: datetime
) -> tuple[ApiKey, str]:
    """Make a key that acts as a user: the key as stored, and its text, which is nowhere else.

    Raises `NotFound` where there is no such user.
    """
    if actors.find_user(conn, user_id) is None:
        raise NotFound(f"There is no user {user_id}.")
    text = KEY_PREFIX + secrets.token_urlsafe(KEY_BYTES)
    key = ApiKey(
        id=KeyId(f"key-{ids.uuid()}"),
        user_id=user_id,
        name=name,
        hint=text[: len(KEY_PREFIX) + _HINT_CHARS],
        digest=digest_of(text),
        admin=admin,
        created_at=now,
    )
    conn.execute(
        insert(table).values(
            id=key.id,
            user_id=key.user_id,
            name=key.name,
            hint=key.hint,
            digest=key.digest,
            admin=key.admin,
            created_at=to_us(key.created_at),
        )
    )
    return key, text


def find_key(conn: Connection, digest: str) -> ApiKey | None:
    """The key with that digest, if it is not revoked."""
    row = conn.execute(_BY_DIGEST, {"digest": digest}).first()
    return None if row is None else _key(row)


def any_keys(conn: Connection) -> bool:
    """Whether there is a key that is not revoked."""
    return bool(conn.scalar(_ANY))


def list_keys(conn: Connection) -> list[ApiKey]:
    """All keys, revoked ones included, oldest first."""
    return [_key(row) for row in conn.execute(select(table).order_by(table.c.created_at, table.c.id))]


def revoke_key(conn: Connection, key_id: str, now: datetime) -> ApiKey:
    """End a key for good; doing it again changes nothing. Raises `NotFound`."""
    conn.execute(
        update(table).where(table.c.id == key_id, table.c.revoked_at.is_(None)).values(revoked_at=to_us(now))
    )
    row = conn.execute(select(table).where(table.c.id == key_id)).first()
    if row is None:
        raise NotFound(f"There is no key {key_id}.")
    return _key(row)


def touch_key(conn: Connection, key_id: KeyId, now: datetime) -> None:
    """Write that a key was used."""
    conn.execute(update(table).where(table.c.id == key_id).values(last_used_at=to_us(now)))


def _key(row: Row[Any]) -> ApiKey:
    last_used_at: int | None = row.last_used_at
    revoked_at: int | None = row.revoked_at
    return ApiKey(
        id=KeyId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        hint=row.hint,
        digest=row.digest,
        admin=row.admin,
        created_at=from_us(int(row.created_at)),
        last_used_at=from_us(last_used_at),
        revoked_at=from_us(revoked_at),
    )
