"""`runstead doctor`: can a server run here? Every check is a line, and every line that is not ok says what to do."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator

from runstead.cli.checks import data, machine, reach
from runstead.cli.checks.finding import Finding, State
from runstead.cli.folder import settings_of
from runstead.cli.paint import paint_for
from runstead.cli.screen import cell, json_line, progress
from runstead.clock import SystemClock
from runstead.settings import Settings

FAILED = 1
_COLOURS = {State.OK: "green", State.WARN: "yellow", State.FAIL: "red"}
WIDTH = 18


def run(given: Namespace) -> int:
    """Look at everything; 1 where something failed."""
    settings = settings_of(given, host=given.host, port=given.port)
    wanted = list(checks(settings))
    found: list[Finding] = []
    with progress("looking", len(wanted)) as move:
        for done, check in enumerate(wanted, 1):
            found += check()
            move(done)
    paint = paint_for(sys.stdout)
    for finding in found:
        if given.json:
            json_line({name: getattr(finding, name) for name in ("check", "state", "told", "advice")})
            continue
        state = paint(_COLOURS[finding.state], f"{finding.state:<5}")
        print(f"{state} {finding.check:<{WIDTH}} {cell(finding.told)}")
        if finding.advice:
            print(f"{'':6}{'':<{WIDTH}} -> {cell(finding.advice)}")
    return FAILED if any(finding.state is State.FAIL for finding in found) else 0


def checks(settings: Settings) -> Iterator[Callable[[], list[Finding]]]:
    """What is looked at, in its order."""
    yield machine.versions
    yield lambda: [data.folder(settings), data.space(settings), data.lock(settings)]
    yield lambda: data.database(settings)
    yield lambda: [reach.port(settings), *reach.providers(settings)]
    if url := reach.redis_url(settings):
        yield lambda: [reach.redis(url)]
    files = [settings.data_dir / name for name in ("runstead.db", "runstead.db-wal")]
    yield lambda: [
        machine.clock(SystemClock().now(), files, reach.time_elsewhere(settings)),
        machine.open_files(),
    ]
    yield machine.sandbox
