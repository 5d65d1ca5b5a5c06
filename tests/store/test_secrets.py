"""Secrets in the store: sealed values by agent and name, gone with their agent."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, insert, text
from tests.store.rows import NOW, agent

from runstead.ids import DEFAULT_USER, UserId
from runstead.settings import Settings
from runstead.store import agents, secrets
from runstead.store.codec import to_us
from runstead.store.schema import agent_secrets
from runstead.store.vault import Vault

OTHER = UserId("user-00000000-0000-4000-8000-000000000009")
ADA = agent(1)


def test_a_set_replaces_the_last(conn: Connection) -> None:
    """None keeps what there is; a name that is not given is gone; another actor sees and changes nothing."""
    agents.insert_agent(conn, ADA)
    secrets.set_secrets(conn, DEFAULT_USER, ADA.id, {"A": b"1", "B": b"2"}, NOW)
    secrets.set_secrets(conn, DEFAULT_USER, ADA.id, {"A": None, "C": b"3", "D": None}, NOW)
    assert secrets.sealed_of_agent(conn, DEFAULT_USER, ADA.id) == {"A": b"1", "C": b"3"}
    assert [each.name for each in secrets.names_of_agent(conn, DEFAULT_USER, ADA.id)] == ["A", "C"]
    assert secrets.sealed_of_agent(conn, OTHER, ADA.id) == {}
    assert secrets.names_of_agent(conn, OTHER, ADA.id) == []
    agents.delete_agent(conn, DEFAULT_USER, ADA.id, NOW)
    assert secrets.sealed_of_agent(conn, DEFAULT_USER, ADA.id) == {}


def test_what_an_older_version_left_open_is_sealed(conn: Connection, tmp_path: Path) -> None:
    """Once, by the server that starts; until then tools are not given it."""
    agents.insert_agent(conn, ADA)
    row = {"agent_id": ADA.id, "name": "A", "user_id": DEFAULT_USER, "value": b"hush", "sealed": False}
    conn.execute(insert(agent_secrets).values(**row, created_at=to_us(NOW), updated_at=to_us(NOW)))
    assert secrets.any_open(conn)
    assert secrets.sealed_of_agent(conn, DEFAULT_USER, ADA.id) == {}
    vault = Vault(Settings(data_dir=tmp_path))
    secrets.seal_open(conn, vault.seal)
    assert not secrets.any_open(conn)
    sealed = secrets.sealed_of_agent(conn, DEFAULT_USER, ADA.id)
    assert b"hush" not in sealed["A"]
    assert vault.open(ADA.id, "A", sealed["A"]) == "hush"
    assert "hush" not in str(conn.execute(text("SELECT * FROM agent_secrets")).all())
