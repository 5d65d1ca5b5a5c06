"""Things to store, and an empty store in memory to put them in."""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, create_engine, event
from tests.template import load_database

from runstead.clock import ManualClock
from runstead.domain.agent import Agent, Block
from runstead.ids import DEFAULT_USER, AgentId, BlockId
from runstead.store import actors
from runstead.store.distance import teach

NOW = ManualClock().now()


@contextmanager
def fresh_connection() -> Generator[Connection]:
    """A connection to an empty store that knows the default user only."""
    engine = create_engine("sqlite://")
    event.listen(engine, "connect", _with_foreign_keys)
    with engine.connect() as conn:
        load_database(cast("sqlite3.Connection", conn.connection.driver_connection))
        actors.ensure_defaults(conn, NOW)
        yield conn
    engine.dispose()


def block(number: int = 1, **fields: Any) -> Block:
    """A block of the default user."""
    made: dict[str, Any] = {
        "id": BlockId(f"block-{number:02}"),
        "user_id": DEFAULT_USER,
        "label": f"label-{number}",
        "value": "v",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Block(**{**made, **fields})


def agent(number: int = 1, **fields: Any) -> Agent:
    """An agent of the default user."""
    made: dict[str, Any] = {
        "id": AgentId(f"agent-{number:02}"),
        "user_id": DEFAULT_USER,
        "name": f"n{number}",
        "agent_type": "letta_v1_agent",
        "model": "runstead/demo",
        "system": "s",
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Agent(**{**made, **fields})


def _with_foreign_keys(raw: Any, _record: object) -> None:
    raw.execute("PRAGMA foreign_keys=ON")
    teach(raw)
