"""One server in a process: what it says of itself must not end it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.world import world

from runstead.cli.server import announce
from runstead.llm.scripted import ScriptedGateway


async def test_a_greeting_without_the_database(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It was there at the start and is gone when its keys are counted: that is said, and the server goes on."""
    async with world(tmp_path, ScriptedGateway()) as made:
        await announce(made.server)
        assert "open to everybody on this machine" in capsys.readouterr().out
        await made.server.services.db.close()

        await announce(made.server)

        said = capsys.readouterr().out
        assert "listening on http://127.0.0.1" in said
        assert "nobody, until the database is there again" in said
