"""What goes wrong, and when: a list of faults that a seed decides, so that a chaos run can be repeated.

It knows times and targets, never how a fault is done. What happens to the runs still depends on the machine's own timing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

QUIET_S = 2.0


class FaultKind(StrEnum):
    """What is done to whom."""

    KILL = "process killed"
    STALL = "process stalled"
    TERM = "process told to stop"
    REDIS_KILL = "redis killed, back empty"
    REDIS_STALL = "redis stalled"
    REDIS_AND_OWNER = "process and redis killed"
    POSTGRES_KILL = "postgres killed"
    POSTGRES_STALL = "postgres stalled"


_ALONE = {FaultKind.KILL: 4, FaultKind.STALL: 3, FaultKind.TERM: 1}
_CLUSTER = {
    **_ALONE,
    FaultKind.REDIS_KILL: 2,
    FaultKind.REDIS_STALL: 1,
    FaultKind.REDIS_AND_OWNER: 2,
    FaultKind.POSTGRES_KILL: 2,
    FaultKind.POSTGRES_STALL: 1,
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: it begins `at_s` after the start and is mended `lasts_s` later. `process` is the target where it is one."""

    at_s: float
    kind: FaultKind
    process: int
    lasts_s: float

    @property
    def on_process(self) -> bool:
        """Whether a process is its target."""
        return self.kind in {FaultKind.KILL, FaultKind.STALL, FaultKind.TERM, FaultKind.REDIS_AND_OWNER}


def plan(
    seed: int, seconds: float, processes: int, lease_s: float, *, alone: bool, every_s: float
) -> Sequence[Fault]:
    """The faults of a run that lasts so long: each kind once at first, then as they come."""
    random = Random(f"faults {seed}")
    weights = _ALONE if alone else _CLUSTER
    first = list(weights)
    random.shuffle(first)
    found: list[Fault] = []
    at_s = QUIET_S
    while at_s < seconds:
        kind = first.pop() if first else random.choices(list(weights), list(weights.values()))[0]
        found.append(Fault(at_s, kind, random.randrange(processes), _lasts_s(random, kind, lease_s)))
        at_s += random.uniform(0.4, 1.6) * every_s
    return found


def _lasts_s(random: Random, kind: FaultKind, lease_s: float) -> float:
    """How long it lasts: a process that stalls does so for longer than its lease."""
    if kind is FaultKind.STALL:
        return lease_s + random.uniform(0.5, 2.5)
    if kind in {FaultKind.REDIS_STALL, FaultKind.POSTGRES_STALL}:
        return random.uniform(1.0, 4.0)
    return random.uniform(0.0, 1.5)
