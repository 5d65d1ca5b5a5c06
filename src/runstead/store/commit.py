"""The only way to change a run: `commit(change, epoch)`, all of it or nothing, refused to who is not the owner.

Also `insert`, which makes a run, and the claim, which gives it an owner: the three moments at which a run is written.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import Connection, bindparam, select, update

from runstead.domain.message import Message
from runstead.domain.run import Run
from runstead.domain.run_machine import Change, Claimed, transition
from runstead.errors import StaleEpoch
from runstead.ids import RunId
from runstead.store import (
    agents,
    blocks,
    conversations,
    deletions,
    events,
    idempotency,
    messages,
    outbox,
    runs,
    steps,
    traces,
)
from runstead.store.schema import runs as table

# Numbers that a run's log may use before the store is asked again: at most so many are ever left without an event.
RESERVED_AHEAD = 512

_FENCED = update(table).where(
    table.c.id == bindparam("run_id"),
    table.c.epoch == bindparam("held_epoch"),
    table.c.commits == bindparam("commits_before"),
    runs.ACTIVE_ONLY,
)
_COMMITS = select(table.c.commits).where(
    table.c.id == bindparam("run_id"), table.c.epoch == bindparam("held_epoch")
)
_RESERVE = update(table).where(
    table.c.id == bindparam("run_id"), table.c.epoch == bindparam("held_epoch"), runs.ACTIVE_ONLY
)
# What a commit may write. Owner and lease are renewed beside it, a cancel is requested by others: they are not its own.
_WRITTEN = (
    "status",
    "stop_reason",
    "updated_at",
    "completed_at",
    "step_count",
    "prompt_tokens",
    "completion_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "reasoning_tokens",
    "ttft_ns",
    "duration_ns",
    "metadata",
    "commits",
    "last_seq",
    "asks",
    "asks_until",
)


def commit(
    conn: Connection, change: Change, epoch: int, rows: tuple[events.EventRow, ...], last_seq: int
) -> None:
    """Write a change and the events that tell of it (`rows`, ending at `last_seq`).

    Raises `StaleEpoch`, and writes nothing, where the run has another owner or is over. A commit that stands already changes
    nothing: who could not learn what became of it asks again.
    """
    run = change.run
    values = runs.run_row(run)
    written = {name: values[name] for name in _WRITTEN} | {"last_seq": last_seq}
    if run.owner is None:
        written |= {"owner": None, "lease_until": None}
    fence = {"run_id": run.id, "held_epoch": epoch}
    commits_before = {"commits_before": run.commits - 1}
    if conn.execute(_FENCED, {**fence, **commits_before, **written}).rowcount != 1:
        if conn.scalar(_COMMITS, fence) == run.commits:
            return
        raise StaleEpoch
    # An append that failed before this commit would leave a gap: then nobody may write on.
    if rows and events.last_seq(conn, run.id) != rows[0].first_seq - 1:
        raise StaleEpoch
    events.put(conn, rows)
    steps.save_steps(conn, change.steps)
    traces.insert_traces(conn, change.traces)
    if change.leaves_context:
        messages.leave_context(conn, run.lane, change.leaves_context)
    messages.insert_messages(conn, change.messages)
    for block in change.blocks:
        blocks.write_value(conn, block)
    if run.status.final:
        agents.note_run(conn, run)
        if run.conversation_id is not None:
            conversations.note_run(conn, run)
    if change.callback and run.callback_url:
        outbox.enqueue(conn, run.id, "callback", run.callback_url, run.updated_at)


def insert(conn: Connection, run: Run, inputs: tuple[Message, ...], first: events.EventRow) -> None:
    """Store a new run with its input and its first event. Behind another run of its lane the input waits with it."""
    if runs.head_of_lane(conn, run.lane) is not None:
        inputs = tuple(replace(message, in_context=False) for message in inputs)
    runs.insert_run(conn, run)
    messages.insert_messages(conn, inputs)
    if run.conversation_id is not None:
        conversations.note_message(conn, run.conversation_id, run.created_at)
    events.put(conn, (first,))


@dataclass(frozen=True, slots=True)
class Claim:
    """A run that has a new owner.

    `run.last_seq` is the newest event in the store; up to `committed_seq` they belong to commits. The owner before may have
    given out numbers up to `given_seq`, in the hot log that `given_by` names (None: in none).
    """

    run: Run
    committed_seq: int
    given_seq: int = 0
    given_by: str | None = None


def claim(
    conn: Connection,
    run_id: RunId,
    claimed: Claimed,
    now: datetime,
    *,
    force: bool = False,
    hot_id: str | None = None,
) -> Claim | None:
    """Give the run an owner; None where it is over, has a living owner, or is not yet first in its lane.

    `force` takes it from a living owner too, whose writes are refused from then on. `hot_id` names the hot log that the new
    owner will write to; where the owner before wrote to another one, it must be reserved first.
    """
    found = runs.look_to_claim(conn, run_id, now)
    if found is None:
        return None
    run, free = found
    if run.status.final or not (free or force):
        return None
    # The run is held by now, so no append of the owner before can come after this look.
    stored_seq = events.last_seq(conn, run_id)
    reserved = max(run.reserved_seq, stored_seq)
    if run.hot_id is None or run.hot_id == hot_id or run.reserved_seq <= stored_seq:
        owned = replace(transition(run, claimed, now), reserved_seq=reserved + RESERVED_AHEAD, hot_id=hot_id)
    else:  # numbers may be lost with that hot log: it stays named until the new owner has filled them
        owned = replace(transition(run, claimed, now), reserved_seq=reserved)
    if not runs.write_claim(conn, owned, run.epoch):
        return None
    if run.epoch == 0 and run.cancel_requested_at is None:
        messages.enter_context(conn, run_id)
    return Claim(replace(owned, last_seq=stored_seq), run.last_seq, run.reserved_seq, run.hot_id)


def reserve(conn: Connection, run_id: RunId, epoch: int, reserved_seq: int, hot_id: str | None) -> bool:
    """Note up to which number the run's owner may give out events, and in which hot log. False where it is not the owner."""
    fence = {"run_id": run_id, "held_epoch": epoch}
    written = {"reserved_seq": reserved_seq, "hot_id": hot_id}
    return conn.execute(_RESERVE, {**fence, **written}).rowcount == 1


def delete_run(conn: Connection, run: Run, now: datetime) -> None:
    """Delete a finished run and its events. Its messages stay in the agent's history, its steps stay without it."""
    if runs.delete_run(conn, run.user_id, run.id):
        deletions.note(conn, run, now)
    events.delete_events(conn, [run.id])
    steps.orphan_steps(conn, run.id)
    traces.forget_run(conn, run.id)
    idempotency.forget_run(conn, run.id)
