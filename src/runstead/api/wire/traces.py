"""What became of a run and its steps in time, and what went to the model: as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated

import orjson
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.domain.run import Run
from runstead.domain.step import Step
from runstead.domain.trace import ProviderTrace

SPANS_MAX = 5000
_NS_PER_US = 1000


class ProviderTraceState(TypedDict):
    """What went to the model in a step and what came back, in the form of Chat Completions."""

    id: str
    step_id: str
    run_id: str
    agent_id: str
    user_id: str
    org_id: str
    organization_id: str
    created_by_id: str | None
    last_updated_by_id: str | None
    created_at: str
    updated_at: str | None
    request_json: dict[str, object]
    response_json: dict[str, object]
    call_type: str
    source: str
    agent_tags: list[str] | None
    billing_context: dict[str, object] | None
    compaction_settings: dict[str, object] | None
    llm_config: dict[str, object] | None


class SpanState(TypedDict):
    """One stretch of time of a run. Times are nanoseconds since 1970, durations nanoseconds; null where not known."""

    trace_id: str
    span_id: str
    parent_span_id: str
    span_name: str
    start_time_ns: int
    duration_ns: int | None
    status: str
    attributes: dict[str, object]


class TraceQuery(BaseModel):
    """How many spans shall be answered."""

    limit: Annotated[int, Field(ge=1, le=SPANS_MAX)] = 1000


def provider_trace_state(trace: ProviderTrace, organization_id: str) -> ProviderTraceState:
    """A trace as the API shows it."""
    return {
        "id": "provider_trace-" + trace.step_id.removeprefix("step-"),
        "step_id": trace.step_id,
        "run_id": trace.run_id,
        "agent_id": trace.agent_id,
        "user_id": trace.user_id,
        "org_id": organization_id,
        "organization_id": organization_id,
        "created_by_id": trace.user_id,
        "last_updated_by_id": None,
        "created_at": trace.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "updated_at": None,
        "request_json": orjson.loads(trace.request),
        "response_json": orjson.loads(trace.response),
        "call_type": "agent_step",
        "source": "runstead",
        "agent_tags": None,
        "billing_context": None,
        "compaction_settings": None,
        "llm_config": None,
    }


def spans_of(run: Run, steps: Sequence[Step]) -> list[SpanState]:
    """A run's spans: itself, and for each step the step, its first token and its tools, as far as these are known."""
    trace_id = run.id.removeprefix("run-").replace("-", "")
    root = trace_id[:16]

    def span(
        name: str, own: str, parent: str, start: int, took: int | None, status: str, **about: object
    ) -> SpanState:
        return {
            "trace_id": trace_id,
            "span_id": own,
            "parent_span_id": parent,
            "span_name": name,
            "start_time_ns": start,
            "duration_ns": took,
            "status": status,
            "attributes": about,
        }

    found = [
        span(
            run.type.value, root, "", _ns(run), run.duration_ns, run.status.value,
            run_id=run.id, agent_id=run.agent_id, conversation_id=run.conversation_id,
            stop_reason=run.stop_reason.value if run.stop_reason else None,
        )
    ]  # fmt: skip
    for step in steps:
        own = step.id.removeprefix("step-").replace("-", "")
        start, status = _ns(step), step.status.value
        parts = [ns for ns in (step.model_ns, step.tools_ns) if ns is not None]
        about: Mapping[str, object] = {
            "step_id": step.id,
            "model": step.model_handle,
            "attempt": step.attempt,
        }
        found.append(
            span("agent_step", own[:16], root, start, sum(parts) if parts else None, status, **about)
        )
        if step.ttft_ns is not None:
            found.append(
                span("time_to_first_token", own[8:24], own[:16], start, step.ttft_ns, "success", **about)
            )
        if step.tools_ns is not None:
            begun = start + (step.model_ns or 0)
            found.append(span("tool_execution", own[16:32], own[:16], begun, step.tools_ns, status, **about))
    return found


def _ns(what: Run | Step) -> int:
    """When it began, in nanoseconds since 1970."""
    return int(what.created_at.timestamp() * 1_000_000) * _NS_PER_US
