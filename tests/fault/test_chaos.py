"""Chaos, bounded and seeded: everything is killed and stalled under clients at work, and then every promise is looked at.

The driver and its checks are `benchmarks/chaos`, where a longer run is started by hand.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.chaos.driver import Chaos, run
from benchmarks.chaos.surprises import unforeseen

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def played(chaos: Chaos, folder: Path) -> None:
    """Play it; every broken promise is told."""
    outcome = run(chaos, folder)
    assert not outcome.broken, "\n\n".join([outcome.figures.as_table(), *outcome.broken])
    assert outcome.figures.runs >= chaos.clients, outcome.figures
    figures = outcome.figures
    assert figures.attempts_given_up or figures.takeovers["all"]["count"], "nothing was interrupted"


def test_three_processes_on_postgres_and_redis(tmp_path: Path) -> None:
    """Processes, Redis and PostgreSQL are killed and stalled."""
    played(Chaos(seed=11, seconds=16, clients=6, lease_s=1.5), tmp_path)


def test_one_process_on_sqlite(tmp_path: Path) -> None:
    """The process is killed, stalled and stopped, again and again; its clients come and go."""
    played(Chaos(seed=12, seconds=16, clients=6, lease_s=1.5, every_s=4.0, alone=True), tmp_path)


WRITES = """
from runstead.telemetry import configure, log
configure("info", as_json=False, secrets=())
for part, event in (("store", "database lost"), ("api", "request failed"), ("docket.worker", "Error in a loop")):
    try:
        {}[event]
    except KeyError:
        print("a line of nobody's")
        log(part).error(event, exc_info=event != "database lost")
log("engine").info("handed over")
"""


def test_what_nobody_foresaw_is_found_in_a_log() -> None:
    """In the words in which a process writes: the one error of ours that has a traceback, with its end."""
    written = subprocess.run([sys.executable, "-c", WRITES], capture_output=True, text=True, check=True)
    (found,) = unforeseen(written.stdout + written.stderr)
    assert "request failed" in found.splitlines()[0]
    assert "KeyError: 'request failed'" in found
    assert "handed over" not in found
