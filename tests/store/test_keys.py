"""API keys in the store."""

from __future__ import annotations

import pytest
from sqlalchemy import Connection, text
from tests.store.rows import NOW

from runstead.errors import NotFound
from runstead.ids import DEFAULT_USER, CountingIds, UserId
from runstead.store import keys


def test_a_key_is_known_by_its_digest_and_stored_nowhere(conn: Connection) -> None:
    assert not keys.any_keys(conn)
    key, secret = keys.create_key(conn, DEFAULT_USER, "laptop", admin=True, ids=CountingIds(), now=NOW)
    assert secret.startswith("rs-")
    assert len(secret) == 46
    assert key.hint == secret[:7]
    assert keys.find_key(conn, keys.digest_of(secret)) == key
    assert keys.find_key(conn, secret) is None
    assert keys.any_keys(conn)
    stored = str(conn.execute(text("SELECT * FROM api_keys")).all())
    assert secret not in stored
    assert secret[8:] not in stored


def test_a_revoked_key_is_listed_but_never_found(conn: Connection) -> None:
    ids = CountingIds()
    key, secret = keys.create_key(conn, DEFAULT_USER, "a", admin=False, ids=ids, now=NOW)
    keys.touch_key(conn, key.id, NOW)
    revoked = keys.revoke_key(conn, key.id, NOW)
    assert revoked.revoked_at == revoked.last_used_at == NOW
    assert keys.revoke_key(conn, key.id, NOW) == revoked
    assert keys.find_key(conn, keys.digest_of(secret)) is None
    assert not keys.any_keys(conn)
    assert keys.list_keys(conn) == [revoked]


def test_keys_for_nobody(conn: Connection) -> None:
    with pytest.raises(NotFound):
        keys.create_key(conn, UserId("user-2"), "a", admin=False, ids=CountingIds(), now=NOW)
    with pytest.raises(NotFound):
        keys.revoke_key(conn, "key-1", NOW)
