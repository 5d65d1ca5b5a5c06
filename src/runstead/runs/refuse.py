"""Questions that are taken away: cancelled, or deleted with what they stand in. The calls are denied in the same commit.

No run is made for it and no model is asked: the transcript says what became of the calls, and the agent is free.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection

from runstead.domain.pending import open_calls, refused
from runstead.domain.run import Run
from runstead.ids import Ids, UserId
from runstead.store import agents, approvals, conversations, messages
from runstead.store import commit as commits
from runstead.store.locks import hold, lane_lock

CANCELLED_REASON = "The user cancelled the request, so the tool call was denied."
DELETED_REASON = "The run that asked was deleted, so the tool call was denied."
CLOSED_REASON = "The conversation was deleted, so the tool call was denied."


def refuse(conn: Connection, asking: Run, reason: str, now: datetime, ids: Ids) -> bool:
    """Deny what a run asks. False where it asks nothing any more: somebody was quicker."""
    hold(conn, lane_lock(asking.lane))
    if not approvals.still_asks(conn, asking):
        return False
    approvals.settle_run(conn, asking, now)
    if not agents.keep_agent(conn, asking.user_id, asking.agent_id):
        return False
    request, after = messages.last_assistant(conn, asking.lane)
    pending = open_calls(request, after)
    if pending is None or pending.request.id != asking.asks or not pending.waiting:
        return False
    messages.insert_messages(conn, refused(pending, reason, now, ids.uuid))
    return True


def delete_asking(conn: Connection, run: Run, now: datetime, ids: Ids) -> None:
    """Delete a run that is over; what it asks is denied."""
    refuse(conn, run, DELETED_REASON, now, ids)
    commits.delete_run(conn, run, now)


def close_conversation(
    conn: Connection, user_id: UserId, conversation_id: str, now: datetime, ids: Ids
) -> None:
    """Delete a conversation; what is asked in it is denied. Raises `Busy` while it has runs that are not over."""
    for asking in approvals.asking(conn, user_id, lane=conversation_id):
        refuse(conn, asking, CLOSED_REASON, now, ids)
    conversations.delete_conversation(conn, user_id, conversation_id, now)
