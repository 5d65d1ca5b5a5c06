"""What the processes wrote that nobody foresaw: each error with a traceback, and each process that ended by itself.

An answer with 500 is one of them, also where its client had gone: so a finding comes with its cause. Losing a service is
foreseen and written without a traceback; what the queue's library writes is its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tests.serving import Server

from benchmarks.chaos.checks import Fault

LINES_SHOWN = 40
_BEGINS = re.compile(r"\d{4}-\d\d-\d\dT\S+Z \[(\w+) *\] ")
_TRACEBACK = "Traceback (most recent call last):"
_NOT_OURS = "part=docket"
_SERIOUS = ("error", "critical")


def surprises(servers: Sequence[Server]) -> list[Fault]:
    """One fault for each."""
    found: list[Fault] = []
    for number, server in enumerate(servers):
        told = server.log
        found += [_fault(number, record) for record in unforeseen(told)]
        if not server.running:
            found.append(_fault(number, "ended by itself\n" + _end_of(told)))
    return found


def unforeseen(log: str) -> Iterator[str]:
    """The records of a process's log that are errors of ours with a traceback, each with the end of that."""
    for level, record in _records(log):
        head, _, rest = record.partition("\n")
        if level in _SERIOUS and _TRACEBACK in rest and _NOT_OURS not in head:
            yield f"{head}\n{_end_of(rest)}"


def _records(log: str) -> Iterator[tuple[str, str]]:
    """Level and text of each: a line with a time begins one, and what follows without a time belongs to it."""
    level, lines = "", list[str]()
    for line in log.splitlines():
        if begins := _BEGINS.match(line):
            yield level, "\n".join(lines)
            level, lines = begins[1], []
        lines.append(line)
    yield level, "\n".join(lines)


def _end_of(text: str) -> str:
    return "\n".join(text.splitlines()[-LINES_SHOWN:])


def _fault(number: int, what: str) -> Fault:
    return Fault("nothing_happens_that_nobody_foresaw", "", f"process {number}: {what}")
