"""What agents wait to be answered for, as JSON: the message that asks, since when, and until when."""

from __future__ import annotations

from collections.abc import Sequence

from runstead.api.services import Services
from runstead.api.wire.events import message_json
from runstead.api.wire.runs import ask_state
from runstead.domain.event import ApprovalRequested
from runstead.domain.message import Message
from runstead.domain.run import Run, RunRequest
from runstead.domain.transcript import told
from runstead.ids import UserId
from runstead.store import approvals

Asked = dict[str, dict[str, object]]


async def asked_by_runs(parts: Services, user_id: UserId, found: Sequence[Run]) -> Asked:
    """What runs of an actor ask, by run; who asks nothing is left out."""
    requests = await parts.db.read(approvals.requests, user_id, found) if any(r.asks for r in found) else {}
    return {run.id: asked_json(run, requests[run.id]) for run in found if run.id in requests}


async def asked_by_agents(parts: Services, user_id: UserId, agent_ids: Sequence[str]) -> Asked:
    """What agents of an actor wait for in their own histories, by agent; who waits for nothing is left out."""
    if not agent_ids:
        return {}
    found = await parts.db.read(approvals.pending_of_agents, user_id, agent_ids)
    return {agent_id: asked_json(run, request) for agent_id, (run, request) in found.items()}


def asked_json(run: Run, request: Message) -> dict[str, object]:
    """The message that asks, with its times."""
    shown = RunRequest(use_assistant_message=False)
    event = next(each for each in told(request, shown) if isinstance(each, ApprovalRequested))
    times = ask_state(run) or {"requested_at": None, "expires_at": None}
    return {
        **message_json(event, run_id=run.id),
        "conversation_id": run.conversation_id,
        "requested_at": times["requested_at"],
        "expires_at": times["expires_at"],
    }
