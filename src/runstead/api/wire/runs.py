"""A run as JSON: the union of both generations' fields, so that either SDK finds what it knows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, NotRequired

import orjson
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.paging import PageQuery
from runstead.domain.run import ACTIVE, Run, RunStatus, StopReason
from runstead.domain.step import Usage
from runstead.runs.wait import Outcome
from runstead.store.codec import to_us
from runstead.store.lines import FIRST, LinePlace, Places
from runstead.store.runs import RunFilter
from runstead.store.summaries import RunSummary

SEARCH_CHARS_MAX = 200
SUMMARY = "runstead.summary"
PENDING = "runstead.pending_approval"
Include = Literal["runstead.summary", "runstead.pending_approval"]
RUNS_LISTED = 100
RENDERED_MAX = 5000


class UsageState(TypedDict):
    """What a run cost, in tokens."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    prompt_tokens_details: dict[str, int] | None
    completion_tokens_details: dict[str, int] | None


class SummaryState(TypedDict):
    """What a list shows of a run beside the run itself. An extension: only who asks for it is answered it."""

    agent_name: str | None
    model: str | None
    input: str | None
    step_count: int
    usage: UsageState
    cost_usd: float | None


class AskState(TypedDict):
    """A question that nobody has answered yet: the message that asks, since when, and until when (null: for ever).

    At `expires_at` the server answers it itself.
    """

    request_id: str
    requested_at: str
    expires_at: str | None


class RunState(TypedDict):
    """One run. `line_position` counts the runs of its conversation or agent that come before it; `waiting_for` is the last.

    Both speak of runs that have not begun. `asks` is there for one that ended with a question which still waits for its
    answer; `pending_approval` is the message that asks.
    """

    id: str
    status: str
    created_at: str
    completed_at: str | None
    updated_at: str
    agent_id: str
    conversation_id: str | None
    base_template_id: str | None
    background: bool
    metadata: dict[str, object]
    request_config: dict[str, object]
    stop_reason: str | None
    callback_url: str | None
    callback_sent_at: str | None
    callback_status_code: int | None
    callback_error: str | None
    ttft_ns: int | None
    total_duration_ns: int | None
    job_type: str
    user_id: str
    created_by_id: str
    last_updated_by_id: str
    cancel_requested_at: str | None
    waiting_for: str | None
    line_position: int
    last_seq_id: int
    step_count: int
    usage: TokenState
    asks: AskState | None
    summary: NotRequired[SummaryState]
    pending_approval: NotRequired[Mapping[str, object] | None]


class TokenState(TypedDict):
    """The counts that every usage has."""

    completion_tokens: int
    prompt_tokens: int
    total_tokens: int


class MetricsState(TypedDict):
    """How a run went, in numbers; times in nanoseconds."""

    id: str
    organization_id: str
    agent_id: str
    project_id: str | None
    run_start_ns: int
    run_ns: int | None
    num_steps: int
    tools_used: list[str] | None
    template_id: str | None
    base_template_id: str | None
    ttft_ns: int | None


class CountsState(TypedDict):
    """How many runs there are, in all and by status."""

    total: int
    by_status: dict[str, int]


class RunQuery(PageQuery):
    """Which runs shall be listed. Every filter holds before the limit is counted.

    `created_after`, `created_before`, `search` (in what the user said), `asking` (whether they wait for an answer) and
    `include` are extensions.
    """

    limit: int = Field(RUNS_LISTED, ge=1, le=1000)
    order_by: Literal["created_at"] = "created_at"
    agent_id: str | None = None
    agent_ids: list[str] | None = None
    statuses: list[RunStatus] | None = None
    stop_reason: StopReason | None = None
    conversation_id: str | None = None
    background: bool | None = None
    active: bool = False
    ascending: bool = False
    created_after: datetime | None = None
    created_before: datetime | None = None
    search: Annotated[str | None, Field(min_length=1, max_length=SEARCH_CHARS_MAX)] = None
    asking: bool | None = None
    include: list[Include] = []

    def filter(self) -> RunFilter:
        """The store's filter."""
        statuses = tuple(self.statuses or (ACTIVE if self.active else ()))
        return RunFilter(
            agent_ids=(self.agent_id,) if self.agent_id else tuple(self.agent_ids or ()),
            conversation_id=self.conversation_id,
            statuses=statuses,
            stop_reason=self.stop_reason,
            background=self.background,
            created_after=_utc(self.created_after),
            created_before=_utc(self.created_before),
            search=self.search,
            asking=self.asking,
        )


class ResumeRequest(BaseModel):
    """From where a stream shall go on. `agent_id`, `run_id` and `otid` are known to the API and have no meaning here."""

    starting_after: Annotated[int, Field(ge=0, le=2**62)] = 0
    include_pings: bool | None = True
    poll_interval: float | None = 0.1
    batch_size: Annotated[int | None, Field(ge=1, le=100_000)] = 100
    agent_id: str | None = None
    run_id: str | None = None
    otid: str | None = None


def run_state(run: Run, place: LinePlace = FIRST) -> RunState:
    """A run as the API shows it; `place` is where it stands in the line of its lane."""
    request = run.request
    return {
        "id": run.id,
        "status": run.status.value,
        "created_at": zoned(run.created_at),
        "completed_at": None if run.completed_at is None else zoneless(run.completed_at),
        "updated_at": zoned(run.updated_at),
        "agent_id": run.agent_id,
        "conversation_id": run.conversation_id,
        "base_template_id": None,
        "background": run.background,
        "metadata": dict(run.metadata),
        "request_config": {
            "use_assistant_message": request.use_assistant_message,
            "assistant_message_tool_name": request.assistant_tool_name,
            "assistant_message_tool_kwarg": request.assistant_tool_argument,
            "include_return_message_types": request.include_types,
        },
        "stop_reason": None if run.stop_reason is None else run.stop_reason.value,
        "callback_url": run.callback_url,
        "callback_sent_at": None if run.callback_sent_at is None else zoneless(run.callback_sent_at),
        "callback_status_code": run.callback_status_code,
        "callback_error": run.callback_error,
        "ttft_ns": run.ttft_ns,
        "total_duration_ns": run.duration_ns,
        "job_type": "run",
        "user_id": run.user_id,
        "created_by_id": run.user_id,
        "last_updated_by_id": run.user_id,
        "cancel_requested_at": None if run.cancel_requested_at is None else zoned(run.cancel_requested_at),
        "waiting_for": place.waiting_for,
        "line_position": place.ahead,
        "last_seq_id": run.last_seq,
        "step_count": run.step_count,
        "usage": {
            "completion_tokens": run.usage.completion_tokens,
            "prompt_tokens": run.usage.prompt_tokens,
            "total_tokens": run.usage.total_tokens,
        },
        "asks": ask_state(run),
    }


def ask_state(run: Run) -> AskState | None:
    """What a run still asks, as the API shows it."""
    if run.asks is None:
        return None
    return {
        "request_id": run.asks,
        "requested_at": zoned(run.completed_at or run.updated_at),
        "expires_at": None if run.asks_until is None else zoned(run.asks_until),
    }


def summed_state(run: Run, summary: RunSummary, cost_usd: float | None) -> RunState:
    """A run as lists show it to those who ask for its summary."""
    state = run_state(run, summary.place)
    state["summary"] = {
        "agent_name": summary.agent_name,
        "model": summary.model,
        "input": summary.input,
        "step_count": run.step_count,
        "usage": usage_state(run.usage),
        "cost_usd": cost_usd,
    }
    return state


def counts_state(counts: Mapping[RunStatus, int]) -> CountsState:
    """How many runs there are; every status is named."""
    by_status = {status.value: counts.get(status, 0) for status in RunStatus}
    return {"total": sum(by_status.values()), "by_status": by_status}


def usage_state(usage: Usage) -> UsageState:
    """A run's usage as the API shows it."""
    cached = {
        "cached_tokens": usage.cached_input_tokens,
        "cache_read_tokens": usage.cached_input_tokens,
        "cache_creation_tokens": usage.cache_write_tokens,
    }
    return {
        "completion_tokens": usage.completion_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "total_tokens": usage.total_tokens,
        "prompt_tokens_details": cached,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
    }


def metrics_state(run: Run, tools: list[str]) -> MetricsState:
    """A run's metrics as the API shows them."""
    return {
        "id": run.id,
        "organization_id": run.organization_id,
        "agent_id": run.agent_id,
        "project_id": None,
        "run_start_ns": int(run.created_at.timestamp() * 1_000_000) * 1000,
        "run_ns": run.duration_ns,
        "num_steps": run.step_count,
        "tools_used": tools or None,
        "template_id": None,
        "base_template_id": None,
        "ttft_ns": run.ttft_ns,
    }


def response_json(outcome: Outcome) -> bytes:
    """The answer of a request that does not stream. The texts were made by the log; here they are put together."""
    return b'{"messages":[%b],"stop_reason":%b,"usage":%b,"logprobs":null,"turns":null}' % (
        b",".join(outcome.messages),
        outcome.stop,
        outcome.usage,
    )


def callback_json(run: Run, outcome: Outcome) -> bytes:
    """What a callback is told, in the members of both generations: how the run ended, and its whole answer."""
    state = run_state(run)
    head = {
        "run_id": run.id,
        "job_id": run.id,
        "status": state["status"],
        "completed_at": state["completed_at"],
        "metadata": {
            **state["metadata"],
            "result": orjson.Fragment(response_json(outcome)),
        },
    }
    return orjson.dumps(head)


def _utc(at: datetime | None) -> datetime | None:
    """A time without a zone is meant as UTC."""
    return at if at is None or at.tzinfo is not None else at.replace(tzinfo=UTC)


def zoned(at: datetime) -> str:
    """A time as most fields spell it: microseconds and `Z`."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def zoneless(at: datetime) -> str:
    """A time as the fields spell it that both generations write without a zone (UTC)."""
    return at.replace(tzinfo=None).isoformat(timespec="microseconds")


class RenderedRuns:
    """Runs as JSON, each as of its last change: lists are read often, and most runs in them are over.

    It is asked only for ids that an actor's own query gave, so it can show nobody what is another's. `kept` is never
    emptied but replaced: who read by it can still join by it. Runs that have not begun are not kept: their place in the
    line changes without them.
    """

    def __init__(self) -> None:
        self.kept: dict[str, tuple[int, bytes]] = {}

    def list_json(
        self,
        run_ids: Iterable[str],
        changed: Iterable[Run],
        kept: dict[str, tuple[int, bytes]],
        places: Places,
    ) -> bytes:
        """The list of these runs, given those that were not in `kept` as they are now, and the places in line."""
        waiting: dict[str, bytes] = {}
        for run in changed:
            state = orjson.dumps(run_state(run, places.get(run.id, FIRST)))
            if run.status is RunStatus.CREATED:
                waiting[run.id] = state
            else:
                kept[run.id] = (to_us(run.updated_at), state)
        body = b"[" + b",".join([waiting.get(run_id) or kept[run_id][1] for run_id in run_ids]) + b"]"
        if len(self.kept) > RENDERED_MAX:
            self.kept = {}
        return body
