"""`runstead keys`: a key is shown once, listed without its text, and ends when it is revoked."""

from __future__ import annotations

import json
import re
import sqlite3
from pathlib import Path

import pytest

from runstead.cli import main


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The data folder that every command here works on."""
    monkeypatch.setenv("RUNSTEAD_DATA_DIR", str(tmp_path / "data"))
    return tmp_path / "data"


def test_the_life_of_a_key(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Made, listed, revoked."""
    assert main(["keys", "create", "laptop", "--admin"]) == 0
    made = capsys.readouterr().out
    text = made.splitlines()[0]
    (key_id,) = re.findall(r"key-[0-9a-f-]{36}", made)
    assert re.fullmatch(r"rs-[A-Za-z0-9_-]{43}", text)
    assert text.encode() not in (folder / "runstead.db").read_bytes()

    assert main(["keys", "list"]) == 0
    listed = capsys.readouterr().out
    assert key_id in listed
    assert "administer" in listed
    assert text not in listed

    assert main(["keys", "revoke", key_id]) == 0
    with sqlite3.connect(folder / "runstead.db") as database:
        (revoked,) = database.execute("SELECT revoked_at FROM api_keys").fetchone()
    database.close()
    assert revoked is not None


@pytest.mark.usefixtures("folder")
def test_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """JSON, a line a key; the key itself only when it is made."""
    assert main(["keys", "create", "laptop", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)
    assert main(["keys", "list", "--json"]) == 0
    (listed,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert made == listed | {"key": made["key"]}
    assert made["key"].startswith(made["begins"])
    assert main(["keys", "revoke", made["id"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["revoked_at"]


@pytest.mark.usefixtures("folder")
def test_without_keys_it_says_how_to_make_one(capsys: pytest.CaptureFixture[str]) -> None:
    """An empty table would say less."""
    assert main(["keys", "list"]) == 0
    assert "runstead keys create NAME" in capsys.readouterr().out


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["create", "laptop", "--user", "user-1"], "There is no user user-1"),
        (["revoke", "key-1"], "There is no key key-1"),
    ],
)
def test_what_is_not_there_is_named(
    arguments: list[str], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence, exit code 2."""
    assert main(["keys", *arguments]) == 2
    assert reason in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file stands where the folder should."""
    (tmp_path / "file").touch()

    assert main(["keys", "list", "--data-dir", str(tmp_path / "file" / "data")]) == 2
    assert "cannot be made" in capsys.readouterr().err
