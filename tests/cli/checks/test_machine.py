"""The machine: what each limit and each clock means."""

from __future__ import annotations

import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runstead.cli.checks.finding import State
from runstead.cli.checks.machine import clock, files_allowed, open_files, sandbox, versions


def test_versions_of_what_runs() -> None:
    """Python, SQLite and the libraries, all as wanted where the tests run."""
    found = versions()

    assert [finding.check for finding in found] == ["python", "sqlite", "libraries"]
    assert {finding.state for finding in found} == {State.OK}
    assert "starlette" in found[2].told


def test_open_files() -> None:
    """Too few are a failure, few a warning; the advice never asks for more than may be had."""
    assert files_allowed(128, 1024).state is State.FAIL
    few = files_allowed(1024, 2048)
    assert few.state is State.WARN
    assert "ulimit -n 2048" in few.advice
    assert files_allowed(65_536, 65_536).state is State.OK
    assert files_allowed(resource.RLIM_INFINITY, resource.RLIM_INFINITY).told == "no limit"
    assert open_files().told


def test_a_clock_that_can_be_believed(tmp_path: Path) -> None:
    """Not before what was written, and as others have it."""
    file = tmp_path / "runstead.db"
    file.touch()
    now = datetime.fromtimestamp(file.stat().st_mtime, UTC)

    assert clock(now, [file], None).state is State.OK
    assert clock(now, [file, tmp_path / "absent"], now + timedelta(seconds=5)).state is State.OK
    behind = clock(now - timedelta(hours=3), [file], None)
    assert behind.state is State.WARN
    assert "in the future" in behind.told
    assert clock(now, [], now - timedelta(minutes=7)).told == "it is 7m apart from a provider's"
    assert clock(datetime(1970, 1, 2, tzinfo=UTC), [], None).state is State.FAIL


def test_the_sandbox() -> None:
    """Looked at only where this Runstead has one; where it has, the line says whether it works."""
    for finding in sandbox():
        assert finding.check == "sandbox"
        assert bool(finding.advice) is (finding.state is not State.OK)
