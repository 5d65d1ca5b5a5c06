"""What a check found."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line. `advice` says what to do; it is empty where all is well."""

    check: str
    state: State
    told: str
    advice: str = ""


def ok(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check, State.OK, told)


def warn(check: str, told: str, advice: str) -> Finding:
    """It works, but not as it should."""
    return Finding(check, State.WARN, told, advice)


def fail(check: str, told: str, advice: str) -> Finding:
    """A server would not work so."""
    return Finding(check, State.FAIL, told, advice)
