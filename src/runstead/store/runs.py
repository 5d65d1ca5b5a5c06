"""The rows of runs: how they are read, claimed and listed. What changes a run's state goes through `store/commit.py`.

Reads for clients name the actor; the engine's own reads go by run id and are not reachable from a route.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    and_,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)

from runstead.domain.message import Role
from runstead.domain.run import ACTIVE, Run, RunRequest, RunStatus, RunType, StopReason
from runstead.domain.step import Usage
from runstead.domain.tool import ToolSpec
from runstead.ids import AgentId, ConversationId, RunId, UserId
from runstead.store.codec import built, from_us, maybe_from_us, pack, to_us, unpack
from runstead.store.pages import Page, paged
from runstead.store.schema import messages
from runstead.store.schema import runs as table

_COLUMNS = tuple(table.c)
# Spelled out, not bound: only then do databases see that the small index of active runs serves.
_ACTIVE_STATUSES = ", ".join(f"'{status.value}'" for status in ACTIVE)
ACTIVE_ONLY = text(f"runs.status IN ({_ACTIVE_STATUSES})")
_FIND = select(*_COLUMNS).where(table.c.id == bindparam("run_id"), table.c.user_id == bindparam("user_id"))
_SOME = select(*_COLUMNS).where(
    table.c.id.in_(bindparam("run_ids", expanding=True)), table.c.user_id == bindparam("user_id")
)
_BY_ID = select(*_COLUMNS).where(table.c.id == bindparam("run_id"))
_INSERT = insert(table)
_other = table.alias("other")
_FIRST_IN_LANE = ~exists().where(
    _other.c.lane == table.c.lane,
    text(f"other.status IN ({_ACTIVE_STATUSES})"),
    _other.c.position < table.c.position,
)
# Held until the claim is written or given up: of two claimers the second sees what the first one wrote.
_CLAIMABLE = (
    select(*_COLUMNS, _FIRST_IN_LANE)
    .where(table.c.id == bindparam("run_id"))
    .with_for_update(of=table, key_share=True)
)
_CLAIM = update(table).where(
    table.c.id == bindparam("run_id"), table.c.epoch == bindparam("epoch_before"), ACTIVE_ONLY
)
_RENEW = (
    update(table)
    .where(
        table.c.id.in_(bindparam("run_ids", expanding=True)),
        table.c.owner == bindparam("owned_by"),
        ACTIVE_ONLY,
    )
    .returning(table.c.id, table.c.epoch, table.c.cancel_requested_at)
)
_HEAD_OF_LANE = (
    select(table.c.id)
    .where(table.c.lane == bindparam("lane"), ACTIVE_ONLY)
    .order_by(table.c.position)
    .limit(1)
)


@dataclass(frozen=True, slots=True)
class RunFilter:
    """Which runs of an actor. Empty and None mean any; `search` is looked for in what the user said, letter case aside.

    `asking`: whether they wait for an answer to what they ended with.
    """

    agent_ids: tuple[str, ...] = ()
    conversation_id: str | None = None
    statuses: tuple[RunStatus, ...] = ()
    stop_reason: StopReason | None = None
    background: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    search: str | None = None
    asking: bool | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """What the store says of a run that a process holds: under which epoch, and whether somebody wants it to end."""

    epoch: int
    cancel_requested: bool


def insert_run(conn: Connection, run: Run) -> None:
    """Store a new run."""
    conn.execute(_INSERT, run_row(run))


def find_run(conn: Connection, user_id: UserId, run_id: str) -> Run | None:
    """One run of this actor."""
    row = conn.execute(_FIND, {"run_id": run_id, "user_id": user_id}).first()
    return None if row is None else run_of(row)


def get_run(conn: Connection, run_id: RunId) -> Run | None:
    """One run, whoever's; for the engine."""
    row = conn.execute(_BY_ID, {"run_id": run_id}).first()
    return None if row is None else run_of(row)


def list_runs(conn: Connection, user_id: UserId, where: RunFilter, page: Page) -> list[Run]:
    """A page of an actor's runs; every filter is applied before the limit. Raises `NotFound` for an unknown cursor."""
    scope = table.c.user_id == user_id
    query = _filtered(select(*_COLUMNS).where(scope), where)
    return [run_of(row) for row in paged(conn, query, table, scope, page)]


def list_changed(
    conn: Connection, user_id: UserId, where: RunFilter, page: Page, known: Mapping[str, tuple[int, object]]
) -> tuple[list[str], list[Run]]:
    """The same page as ids, and those of its runs that changed since `known` (microseconds first) or are not in it."""
    scope = table.c.user_id == user_id
    every: Select[Any] = cast("Select[Any]", select(table.c.id, table.c.updated_at).where(scope))
    rows_found = paged(conn, _filtered(every, where), table, scope, page)
    found = [(str(run_id), int(at)) for run_id, at in map(tuple[Any, ...], rows_found)]
    changed = [run_id for run_id, at in found if run_id not in known or known[run_id][0] != at]
    if not changed:
        return [run_id for run_id, _ in found], []
    rows = conn.execute(_SOME, {"run_ids": changed, "user_id": user_id})
    return [run_id for run_id, _ in found], [run_of(row) for row in rows]


def some_runs(conn: Connection, user_id: UserId, run_ids: Sequence[str]) -> list[Run]:
    """Those of these runs that are this actor's, in no order."""
    if not run_ids:
        return []
    return [run_of(row) for row in conn.execute(_SOME, {"run_ids": list(run_ids), "user_id": user_id})]


def count_runs(conn: Connection, user_id: UserId, where: RunFilter) -> dict[RunStatus, int]:
    """How many runs of an actor have each status; a status that none has is left out."""
    every = cast("Select[Any]", select(table.c.status, func.count()).where(table.c.user_id == user_id))
    rows = conn.execute(_filtered(every, where).group_by(table.c.status))
    return {RunStatus(status): int(count) for status, count in map(tuple[Any, ...], rows)}


def touched_runs(conn: Connection, user_id: UserId, since: datetime) -> list[tuple[RunId, int, bool]]:
    """The runs of an actor that are not over or newer than `since`: id, microseconds of the last change, whether active.

    Both halves are read by an index, so that it may be asked often.
    """
    columns = (table.c.id, table.c.updated_at, table.c.status)
    mine = table.c.user_id == user_id
    # Active runs are few, an actor's runs are many: a database that has no statistics must not begin with the actor's.
    also_mine = func.coalesce(table.c.user_id, "") == user_id
    found = [*conn.execute(select(*columns).where(also_mine, ACTIVE_ONLY))]
    found += conn.execute(select(*columns).where(mine, table.c.created_at >= to_us(since)))
    return [(RunId(run_id), int(updated), not RunStatus(status).final) for run_id, updated, status in found]


def active_of_agent(conn: Connection, user_id: UserId, agent_id: AgentId) -> list[Run]:
    """The runs of an agent that are not over, conversations' included, in the order they came."""
    query = select(*_COLUMNS).where(table.c.user_id == user_id, table.c.agent_id == agent_id, ACTIVE_ONLY)
    return [run_of(row) for row in conn.execute(query.order_by(table.c.position))]


def active_in_lane(conn: Connection, user_id: UserId, lane: str) -> list[Run]:
    """The runs of a conversation, or of an agent's own history, that are not over, in the order they came."""
    query = select(*_COLUMNS).where(table.c.user_id == user_id, table.c.lane == lane, ACTIVE_ONLY)
    return [run_of(row) for row in conn.execute(query.order_by(table.c.position))]


def head_of_lane(conn: Connection, lane: str) -> RunId | None:
    """The run whose turn it is in a conversation or agent."""
    found = conn.scalar(_HEAD_OF_LANE, {"lane": lane})
    return None if found is None else RunId(found)


def due_runs(conn: Connection, now: datetime, limit: int) -> list[RunId]:
    """Runs that have work and no living owner: first in their lane and not owned, or their owner's lease is over."""
    query = (
        select(table.c.id)
        .where(
            ACTIVE_ONLY,
            or_(table.c.owner.is_(None), table.c.lease_until < to_us(now)),
            or_(_FIRST_IN_LANE, table.c.cancel_requested_at.is_not(None)),
        )
        .order_by(table.c.position)
        .limit(limit)
    )
    return [RunId(value) for value in conn.scalars(query)]


def look_to_claim(conn: Connection, run_id: RunId, now: datetime) -> tuple[Run, bool] | None:
    """A run, and whether anybody may take it now: nobody living owns it, and no earlier run of its lane is still active.

    Nobody else takes it before the transaction ends.
    """
    row = conn.execute(_CLAIMABLE, {"run_id": run_id}).first()
    if row is None:
        return None
    *values, first = row
    run = run_of(values)
    living = run.owner is not None and run.lease_until is not None and run.lease_until > now
    return run, not living and (bool(first) or run.cancel_requested_at is not None)


def write_claim(conn: Connection, run: Run, epoch_before: int) -> bool:
    """Write the owner, lease and new epoch of a claimed run; False where somebody else was quicker."""
    written = {
        "run_id": run.id,
        "epoch_before": epoch_before,
        "status": run.status.value,
        "epoch": run.epoch,
        "owner": run.owner,
        "lease_until": to_us(run.lease_until),
        "updated_at": to_us(run.updated_at),
        "reserved_seq": run.reserved_seq,
        "hot_id": run.hot_id,
    }
    return conn.execute(_CLAIM, written).rowcount == 1


def renew_leases(
    conn: Connection, owner: str, run_ids: Sequence[RunId], until: datetime
) -> dict[RunId, Held]:
    """Renew the leases of what a process works on; give those runs of it that are still its own."""
    if not run_ids:
        return {}
    rows = conn.execute(_RENEW, {"owned_by": owner, "run_ids": run_ids, "lease_until": to_us(until)})
    return {RunId(run_id): Held(epoch, asked is not None) for run_id, epoch, asked in rows}


def owners(conn: Connection) -> list[str]:
    """The names of all processes that own runs."""
    return list(conn.scalars(select(table.c.owner).where(ACTIVE_ONLY, table.c.owner.is_not(None)).distinct()))


def disown(conn: Connection, dead: Sequence[str]) -> int:
    """Take their runs from processes that are known to be dead. Gives how many."""
    mine = (ACTIVE_ONLY, table.c.owner.in_(dead))
    return conn.execute(update(table).where(*mine).values(owner=None, lease_until=None)).rowcount


def disown_all(conn: Connection) -> int:
    """Take every active run from its owner. Only for a process that knows that no other one lives."""
    return conn.execute(
        update(table).where(ACTIVE_ONLY, table.c.owner.is_not(None)).values(owner=None, lease_until=None)
    ).rowcount


def request_cancel(conn: Connection, user_id: UserId, run_id: str, now: datetime) -> Run | None:
    """Write that the run shall end. Gives the run as it is then; None where the actor has no such run."""
    conn.execute(
        update(table)
        .where(
            table.c.user_id == user_id,
            table.c.id == run_id,
            ACTIVE_ONLY,
            table.c.cancel_requested_at.is_(None),
        )
        .values(cancel_requested_at=to_us(now), updated_at=to_us(now))
    )
    return find_run(conn, user_id, run_id)


def request_cancel_lane(conn: Connection, user_id: UserId, lane: str, now: datetime) -> list[RunId]:
    """Write that every run of a lane that is not over shall end. Gives them, in the order they came."""
    mine = and_(table.c.user_id == user_id, table.c.lane == lane, ACTIVE_ONLY)
    conn.execute(
        update(table)
        .where(mine, table.c.cancel_requested_at.is_(None))
        .values(cancel_requested_at=to_us(now), updated_at=to_us(now))
    )
    return [RunId(value) for value in conn.scalars(select(table.c.id).where(mine).order_by(table.c.position))]


def record_callback(
    conn: Connection, run_id: RunId, sent_at: datetime, status_code: int | None, error: str | None
) -> None:
    """Write what came of telling the callback. It is no change of the run's state, so it needs no owner."""
    conn.execute(
        update(table)
        .where(table.c.id == run_id)
        .values(
            callback_sent_at=to_us(sent_at),
            callback_status_code=status_code,
            callback_error=error,
            updated_at=to_us(sent_at),
        )
    )


def delete_run(conn: Connection, user_id: UserId, run_id: str) -> bool:
    """Delete a run's row. False where there is none."""
    return conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == run_id)).rowcount == 1


def run_row(run: Run) -> dict[str, object]:
    """The column values of a run."""
    usage = run.usage
    return {
        "id": run.id,
        "user_id": run.user_id,
        "organization_id": run.organization_id,
        "agent_id": run.agent_id,
        "conversation_id": run.conversation_id,
        "lane": run.lane,
        "type": run.type.value,
        "status": run.status.value,
        "stop_reason": None if run.stop_reason is None else run.stop_reason.value,
        "background": run.background,
        "created_at": to_us(run.created_at),
        "updated_at": to_us(run.updated_at),
        "completed_at": to_us(run.completed_at),
        "cancel_requested_at": to_us(run.cancel_requested_at),
        "epoch": run.epoch,
        "owner": run.owner,
        "lease_until": to_us(run.lease_until),
        "last_seq": run.last_seq,
        "step_count": run.step_count,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "ttft_ns": run.ttft_ns,
        "duration_ns": run.duration_ns,
        "callback_url": run.callback_url,
        "callback_sent_at": to_us(run.callback_sent_at),
        "callback_status_code": run.callback_status_code,
        "callback_error": run.callback_error,
        "request": pack(_request_document(run.request)),
        "metadata": pack(run.metadata),
        "commits": run.commits,
        "reserved_seq": run.reserved_seq,
        "hot_id": run.hot_id,
        "asks": run.asks,
        "asks_until": to_us(run.asks_until),
    }


def _filtered(query: Select[Any], where: RunFilter) -> Select[Any]:
    conditions: list[ColumnElement[bool]] = []
    if where.agent_ids:
        conditions.append(table.c.agent_id.in_(where.agent_ids))
    if where.conversation_id is not None:
        conditions.append(table.c.conversation_id == where.conversation_id)
    if where.statuses:
        conditions.append(table.c.status.in_([status.value for status in where.statuses]))
    if where.stop_reason is not None:
        conditions.append(table.c.stop_reason == where.stop_reason.value)
    if where.background is not None:
        conditions.append(table.c.background.is_(where.background))
    if where.asking is not None:
        conditions.append(table.c.asks.is_not(None) if where.asking else table.c.asks.is_(None))
    if where.created_after is not None:
        conditions.append(table.c.created_at >= to_us(where.created_after))
    if where.created_before is not None:
        conditions.append(table.c.created_at < to_us(where.created_before))
    if where.search is not None:
        said = messages.c.text.icontains(where.search, autoescape=True)
        conditions.append(
            exists().where(messages.c.run_id == table.c.id, messages.c.role == Role.USER.value, said)
        )
    return query.where(*conditions)


def _request_document(request: RunRequest) -> Mapping[str, object]:
    default = _DEFAULT_REQUEST
    document: dict[str, object] = {}
    for name in RunRequest.__slots__:
        value = getattr(request, name)
        if value != getattr(default, name):
            document[name] = [asdict(tool) for tool in value] if name == "client_tools" else value
    return document


_DEFAULT_REQUEST = RunRequest()


def _request(text: str) -> RunRequest:
    if text == "{}":
        return _DEFAULT_REQUEST
    document = unpack(text)
    if "client_tools" in document:
        document["client_tools"] = tuple(built(ToolSpec, tool) for tool in document["client_tools"])
    if document.get("include_types") is not None:
        document["include_types"] = tuple(document["include_types"])
    return built(RunRequest, document)


def run_of(row: Sequence[Any]) -> Run:
    """The run of a row that has every column, in their order."""
    (
        position, id_, user_id, organization_id, agent_id, conversation_id, _lane, type_, status,
        stop_reason, background, created_at, updated_at, completed_at, cancel_requested_at, epoch,
        owner, lease_until, last_seq, step_count, prompt, completion, cached, written, reasoning,
        ttft_ns, duration_ns, callback_url, callback_sent_at, callback_status_code, callback_error,
        request, metadata, commits, reserved_seq, hot_id, asks, asks_until,
    ) = row  # fmt: skip
    return Run(
        id=id_,
        user_id=user_id,
        organization_id=organization_id,
        agent_id=agent_id,
        type=RunType(type_),
        status=RunStatus(status),
        created_at=from_us(int(created_at)),
        updated_at=from_us(int(updated_at)),
        conversation_id=None if conversation_id is None else ConversationId(conversation_id),
        background=background,
        request=_request(request),
        metadata=unpack(metadata),
        stop_reason=None if stop_reason is None else StopReason(stop_reason),
        completed_at=maybe_from_us(completed_at),
        cancel_requested_at=maybe_from_us(cancel_requested_at),
        epoch=epoch,
        owner=owner,
        lease_until=maybe_from_us(lease_until),
        last_seq=last_seq,
        step_count=step_count,
        usage=Usage(prompt, completion, cached, written, reasoning),
        ttft_ns=ttft_ns,
        duration_ns=duration_ns,
        callback_url=callback_url,
        callback_sent_at=maybe_from_us(callback_sent_at),
        callback_status_code=callback_status_code,
        callback_error=callback_error,
        commits=commits,
        reserved_seq=reserved_seq,
        hot_id=hot_id,
        asks=asks,
        asks_until=maybe_from_us(asks_until),
        position=position,
    )
