"""Times, sizes and counts as people read them; and a run's end as an exit code. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runstead.api.wire.runs import RunState

WAITS = "requires_approval"
FINAL = frozenset({"completed", "failed", "cancelled"})
COMPLETED, FAILED, CANCELLED, WAITING = 0, 1, 3, 4
_CODES: Mapping[str, int] = {"completed": COMPLETED, "failed": FAILED, "cancelled": CANCELLED}
_UNITS_S = (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1))
_SIZES = ("B", "KiB", "MiB", "GiB", "TiB")
_NS = 1_000_000_000


def outcome_code(run: RunState) -> int:
    """A run's end as an exit code."""
    return WAITING if waits(run) else _CODES[run["status"]]


def waits(run: RunState) -> bool:
    """Whether a run ended with a question to a person."""
    return run["status"] == "completed" and run["stop_reason"] == WAITS


def moment(text: str) -> datetime:
    """A time of the API, which writes UTC with or without saying so."""
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def age(text: str, now: datetime) -> str:
    """How long ago, roughly."""
    return rough(max((now - moment(text)).total_seconds(), 0.0))


def rough(seconds: float) -> str:
    """A time span in its largest unit: 42s, 7m, 3h, 12d."""
    for unit, size in _UNITS_S:
        if seconds >= size:
            return f"{int(seconds // size)}{unit}"
    return "0s"


def span(nanoseconds: int | None) -> str:
    """A duration, exact enough to compare: 350ms, 2.4s, 3m12s; `-` where there is none."""
    if nanoseconds is None:
        return "-"
    if nanoseconds < _NS:
        return f"{nanoseconds // 1_000_000}ms"
    seconds = nanoseconds / _NS
    return f"{seconds:.1f}s" if seconds < 60 else f"{int(seconds // 60)}m{int(seconds % 60):02d}s"


def duration_of(run: RunState, now: datetime) -> str:
    """How long a run took, or has been going on."""
    if run["total_duration_ns"] is not None or run["status"] in FINAL:
        return span(run["total_duration_ns"])
    return span(int((now - moment(run["created_at"])).total_seconds() * _NS))


def expires(found: RunState, now: datetime) -> str:
    """In what time a run that asks is answered by the server: 3h, or `never`; `-` where it asks nothing."""
    asks = found.get("asks")
    if not asks:
        return "-"
    if asks["expires_at"] is None:
        return "never"
    return rough(max(0.0, (moment(asks["expires_at"]) - now).total_seconds()))


def times(found: RunState, now: datetime) -> str:
    """Since when a run asks, and until when; empty where it asks nothing, or the server does not say."""
    asks = found.get("asks")
    if not asks:
        return ""
    since = f"asked {age(asks['requested_at'], now)} ago"
    if asks["expires_at"] is None:
        return f"{since}, waits until somebody answers"
    until = moment(asks["expires_at"])
    left_s = (until - now).total_seconds()
    left = f"in {rough(left_s)}" if left_s > 0 else "any moment"
    return f"{since}, expires {left} ({until:%Y-%m-%d %H:%M}Z)"


def size(count: int) -> str:
    """Bytes in the unit that suits them."""
    amount = float(count)
    for unit in _SIZES[:-1]:
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} {_SIZES[-1]}"


def tokens_of(run: RunState) -> str:
    """A run's tokens; `-` for a server that does not say."""
    return str(run["usage"]["total_tokens"]) if "usage" in run else "-"
