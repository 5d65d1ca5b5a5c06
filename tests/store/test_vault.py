"""Sealing: what comes out is what went in, for the same owner and name and key only."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from runstead.errors import Unavailable
from runstead.settings import Secret, Settings
from runstead.store.vault import KEY_FILE, CannotOpen, Vault

KEY = "k" * 40


def test_a_value_is_bound_to_its_place(tmp_path: Path) -> None:
    """Nobody can move a sealed value to another agent or name; the same value is sealed differently each time."""
    vault = Vault(Settings(data_dir=tmp_path))
    sealed = vault.seal("agent-1", "A", "hush ü")
    assert vault.open("agent-1", "A", sealed) == "hush ü"
    assert sealed != vault.seal("agent-1", "A", "hush ü")
    for owner, name, value in (
        ("agent-2", "A", sealed),
        ("agent-1", "B", sealed),
        ("agent-1", "A", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        ("agent-1", "A", b""),
    ):
        with pytest.raises(CannotOpen):
            vault.open(owner, name, value)


def test_the_key_is_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    """Made with the first secret, the same at the next start, and never half there."""
    file = tmp_path / KEY_FILE
    first = Vault(Settings(data_dir=tmp_path))
    assert not file.exists()
    sealed = first.seal("a", "n", "v")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert Vault(Settings(data_dir=tmp_path)).open("a", "n", sealed) == "v"
    assert [each.name for each in tmp_path.iterdir()] == [KEY_FILE]
    file.write_bytes(b"short")
    with pytest.raises(Unavailable, match="no key of 32 bytes"):
        Vault(Settings(data_dir=tmp_path)).seal("a", "n", "v")
    with pytest.raises(Unavailable, match="cannot be kept"):
        Vault(Settings(data_dir=tmp_path / "nowhere")).seal("a", "n", "v")


def test_a_key_that_is_given(tmp_path: Path) -> None:
    """The same for every process that has it; no file is made. A short one is refused, and not shown."""
    given = Settings(data_dir=tmp_path, secrets_key=Secret(KEY))
    sealed = Vault(given).seal("a", "n", "v")
    assert Vault(given).open("a", "n", sealed) == "v"
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(CannotOpen):
        Vault(Settings(data_dir=tmp_path, secrets_key=Secret(KEY + "x"))).open("a", "n", sealed)
    with pytest.raises(Unavailable, match="openssl rand") as caught:
        Vault(Settings(data_dir=tmp_path, secrets_key=Secret("too-short"))).seal("a", "n", "v")
    assert "too-short" not in str(caught.value)


def test_several_processes_need_one_that_is_given(tmp_path: Path) -> None:
    """A file in one's own folder would open nothing of the others'."""
    shared = Settings(data_dir=tmp_path, database_url="postgresql://somewhere/x")
    with pytest.raises(Unavailable, match="RUNSTEAD_SECRETS_KEY"):
        Vault(shared).seal("a", "n", "v")
