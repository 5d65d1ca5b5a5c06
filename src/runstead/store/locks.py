"""Locks by name, for what must not happen twice at once in several processes. Held until the transaction ends.

On SQLite there is one writer anyway, and a lock costs nothing. On PostgreSQL it is one statement for all names, in their
order, so that two transactions which want the same names never wait for each other in a circle.
"""

from __future__ import annotations

from sqlalchemy import Connection, Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import ARRAY

_names = func.unnest(bindparam("names", type_=ARRAY(Text))).column_valued("name")
_HOLD = select(func.pg_advisory_xact_lock(func.hashtextextended(_names, 0)))


def hold(conn: Connection, *names: str) -> None:
    """Wait until nobody else holds any of these names, and hold them to the transaction's end."""
    if names and conn.dialect.name == "postgresql":
        conn.execute(_HOLD, {"names": sorted(set(names))})


def lane_lock(lane: str) -> str:
    """The name under which runs are put into a lane: a lane's positions are given in the order of commits."""
    return f"runstead:lane:{lane}"


def key_lock(user_id: str, key: str) -> str:
    """The name under which one idempotency key of a user makes a run."""
    return f"runstead:key:{user_id}:{key}"
