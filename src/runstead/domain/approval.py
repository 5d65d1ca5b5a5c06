"""How long a question waits for a person or the client, and what is said in their place when the time is over. Pure.

A `requires_approval` rule may say its own for its tool: `expires_s` (seconds, 0: never), `default` (`deny` or `approve`).
Of several calls that are asked about at once the first one to expire speaks for all, since all are answered at once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from runstead.domain.agent import Agent, ToolRule
from runstead.domain.message import Decision, Message, ToolCall

RULE = "requires_approval"
DENY = "deny"
APPROVE = "approve"
EXPIRES_S_MAX = 10 * 365 * 86_400.0
_UNITS = ((86_400, "day"), (3600, "hour"), (60, "minute"), (1, "second"))


@dataclass(frozen=True, slots=True)
class ApprovalTerms:
    """The server's terms. `expires_s` 0: a question waits for ever. `default` is the answer when its time is over."""

    expires_s: float = 0.0
    default: str = DENY

    def until(self, agent: Agent, request: Message, now: datetime) -> datetime | None:
        """Until when the calls of a request wait; None for ever."""
        given = [self._expires_s(agent, call) for call in request.tool_calls if call.waits]
        limited = [seconds for seconds in given if seconds > 0]
        return now + timedelta(seconds=min(limited)) if limited else None

    def decisions(
        self, agent: Agent, calls: Iterable[ToolCall], asked_at: datetime, until: datetime
    ) -> tuple[Decision, ...]:
        """What is answered when the time is over. What the client would have to run is never approved: it ran nothing."""
        reason = f"expired after {spoken(until - asked_at)} without an answer"
        return tuple(
            Decision(call.id, not call.client and self._default(agent, call) == APPROVE, reason)
            for call in calls
        )

    def _expires_s(self, agent: Agent, call: ToolCall) -> float:
        given = _said(_rule(agent, call), "expires_s")
        if isinstance(given, bool) or not isinstance(given, int | float):
            given = self.expires_s
        return min(float(given), EXPIRES_S_MAX)

    def _default(self, agent: Agent, call: ToolCall) -> object:
        given = _said(_rule(agent, call), "default")
        return given if given in {DENY, APPROVE} else self.default


def spoken(time: timedelta) -> str:
    """A time in words, in the largest unit that it fills: `7 days`."""
    seconds = round(time.total_seconds())
    for size, unit in _UNITS:
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return "0 seconds"


def _rule(agent: Agent, call: ToolCall) -> ToolRule | None:
    """The rule that makes a call wait; none for what the client runs."""
    if call.client:
        return None
    return next((r for r in agent.tool_rules if r.type == RULE and r.tool_name == call.name), None)


def _said(rule: ToolRule | None, name: str) -> object:
    return None if rule is None else rule.extra.get(name)
