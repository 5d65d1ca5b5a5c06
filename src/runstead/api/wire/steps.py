"""A step as JSON: the union of both generations' fields."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.paging import Moment, PageQuery
from runstead.domain.step import Step
from runstead.ids import RunId
from runstead.store.steps import StepFilter


class ToolTimeState(TypedDict):
    """When a tool call of a step ran; `after_ns` counts from the end of the model's answer."""

    tool_call_id: str
    name: str
    status: str
    after_ns: int
    took_ns: int


class StepState(TypedDict):
    """One step. The last members are extensions: which attempt it was, how long its parts took, and its cost."""

    id: str
    origin: str | None
    organization_id: str
    provider_id: str | None
    run_id: str | None
    job_id: str | None
    agent_id: str
    provider_name: str
    provider_category: str
    model: str
    model_handle: str
    model_endpoint: str | None
    context_window_limit: int
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    completion_tokens_details: dict[str, int]
    prompt_tokens_details: dict[str, int]
    stop_reason: str | None
    tags: list[str]
    tid: str | None
    trace_id: str | None
    request_id: str | None
    messages: list[dict[str, object]]
    feedback: str | None
    project_id: str | None
    error_type: str | None
    error_data: dict[str, object] | None
    status: str
    created_at: str
    attempt: int
    retries: int
    model_ns: int | None
    tools_ns: int | None
    tool_times: list[ToolTimeState]
    ttft_ns: int | None
    cost_usd: float | None


class StepMetricsState(TypedDict):
    """How long a step took; times in nanoseconds."""

    id: str
    organization_id: str | None
    provider_id: str | None
    run_id: str | None
    job_id: str | None
    agent_id: str | None
    step_start_ns: int | None
    llm_request_start_ns: int | None
    llm_request_ns: int | None
    tool_execution_ns: int | None
    step_ns: int | None
    base_template_id: str | None
    template_id: str | None
    project_id: str | None


class FeedbackRequest(BaseModel):
    """What somebody thinks of a step: null takes it back."""

    feedback: Literal["positive", "negative"] | None = None
    tags: list[str] | None = Field(None, max_length=100)


class RunStepQuery(PageQuery):
    """Which steps of a run shall be listed."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    order_by: Literal["created_at"] = "created_at"


class StepQuery(PageQuery):
    """Which steps shall be listed."""

    order_by: Literal["created_at"] = "created_at"
    start_date: Moment | None = None
    end_date: Moment | None = None
    model: str | None = None
    agent_id: str | None = None
    trace_ids: list[str] | None = None
    feedback: Literal["positive", "negative"] | None = None
    has_feedback: bool | None = None
    tags: list[str] | None = Field(None, max_length=100)
    project_id: str | None = None

    def filter(self, run_id: RunId | None = None) -> StepFilter:
        """The store's filter."""
        return StepFilter(
            run_id=run_id,
            agent_id=self.agent_id,
            model=self.model,
            feedback=self.feedback,
            has_feedback=self.has_feedback,
            trace_ids=tuple(self.trace_ids or ()),
            tags=tuple(self.tags or ()),
            since=self.start_date,
            until=self.end_date,
        )


def step_metrics_state(step: Step, organization_id: str) -> StepMetricsState:
    """A step's metrics as the API shows them. Where both are known, a step is its model call and its tools."""
    start_ns = int(step.created_at.timestamp() * 1_000_000) * 1000
    parts = [ns for ns in (step.model_ns, step.tools_ns) if ns is not None]
    return {
        "id": step.id,
        "organization_id": organization_id,
        "provider_id": None,
        "run_id": step.run_id,
        "job_id": step.run_id,
        "agent_id": step.agent_id,
        "step_start_ns": start_ns,
        "llm_request_start_ns": start_ns,
        "llm_request_ns": step.model_ns,
        "tool_execution_ns": step.tools_ns,
        "step_ns": sum(parts) if parts else None,
        "base_template_id": None,
        "template_id": None,
        "project_id": None,
    }


def step_state(step: Step, organization_id: str, cost_usd: float | None = None) -> StepState:
    """A step as the API shows it."""
    usage = step.usage
    provider, _, model = step.model_handle.partition("/")
    return {
        "id": step.id,
        "origin": None,
        "organization_id": organization_id,
        "provider_id": None,
        "run_id": step.run_id,
        "job_id": step.run_id,
        "agent_id": step.agent_id,
        "provider_name": provider,
        "provider_category": "base",
        "model": model or step.model_handle,
        "model_handle": step.model_handle,
        "model_endpoint": step.model_endpoint,
        "context_window_limit": step.context_window_tokens,
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.total_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "prompt_tokens_details": {"cached_tokens": usage.cached_input_tokens},
        "stop_reason": step.stop_reason,
        "tags": list(step.tags),
        "tid": None,
        "trace_id": step.trace_id,
        "request_id": step.request_id,
        "messages": [],
        "feedback": step.feedback,
        "project_id": None,
        "error_type": step.error_type,
        "error_data": None if step.error_data is None else dict(step.error_data),
        "status": step.status.value,
        "created_at": step.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "attempt": step.attempt,
        "retries": step.retries,
        "model_ns": step.model_ns,
        "tools_ns": step.tools_ns,
        "tool_times": [
            {
                "tool_call_id": each.call_id,
                "name": each.name,
                "status": each.status,
                "after_ns": each.after_ns,
                "took_ns": each.took_ns,
            }
            for each in step.tool_times
        ],
        "ttft_ns": step.ttft_ns,
        "cost_usd": cost_usd,
    }
