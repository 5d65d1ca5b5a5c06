"""What went to a provider in a step, and what came back: two JSON texts. It holds no header, no key and no address."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runstead.ids import AgentId, RunId, StepId, UserId


@dataclass(frozen=True, slots=True)
class ProviderTrace:
    """One exchange with a model. `request` and `response` are JSON objects in the form of Chat Completions."""

    step_id: StepId
    user_id: UserId
    agent_id: AgentId
    run_id: RunId
    created_at: datetime
    request: str
    response: str
