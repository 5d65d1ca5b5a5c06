"""Spans of runs, by OpenTelemetry's conventions for generative AI, sent by OTLP over HTTP. Loaded only where traces are on.

The tree: `admit run` (a child of the caller's `traceparent`), under it one `invoke_agent` for each owner of the run, under
that its steps, and under a step its `chat` and its `execute_tool`s. A run's trace is kept with the run, and the ids of its
owners' spans follow from run and epoch: so another process goes on in the same trace and links to the owner before it.

Spans say how long, how much and how it ended. What was said never stands in them, unless `content` is set. OpenTelemetry
itself reads the OTEL_* variables (where to, with which headers, which sampler, resource attributes).
"""

from __future__ import annotations

import asyncio
import hashlib
import threading
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import cast
from urllib.parse import urlsplit

import orjson
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)

from runstead.domain.agent import Agent, ModelSettings
from runstead.domain.message import Message, ToolCall
from runstead.domain.run import Run, RunStatus
from runstead.domain.step import Step, Usage
from runstead.domain.tool import ToolOutcome

CLOSE_S = 3.0
LOOK_S = 0.01
CONTENT_CHARS_MAX = 32_768
# The conventions' names for providers that we call otherwise.
_PROVIDERS = {"google": "gcp.gemini"}
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
# How an attempt begins a span: its name, the one above it, kind and attributes.
_Start = Callable[[str, Span, SpanKind, Mapping[str, object]], Span]


class Spans:
    """Where spans are made and sent. One serves a whole process; `close` sends what is left."""

    def __init__(self, version: str, *, content: bool = False) -> None:
        self._ids = _Ids()
        self._content = content
        self._exporter = OTLPSpanExporter()
        self._provider = TracerProvider(
            resource=_resource(version), id_generator=self._ids, shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(self._exporter))
        self._tracer = self._provider.get_tracer("runstead", version)

    @contextmanager
    def admission(self, run: Run) -> Generator[Run]:
        """A span while a run is admitted. Gives the run with the place in the trace that its owners go on from."""
        name, facts = "admit run", _facts(run)
        parent = _context_of(run.request.traceparent)
        self._ids.trace_id = _trace_id(run) if parent is None else None
        span = self._tracer.start_span(name, _under(parent), SpanKind.PRODUCER, facts)
        place = _traceparent(span.get_span_context())
        try:
            yield replace(run, request=replace(run.request, traceparent=place))
        except Exception as error:  # the request's answer; the span says its type
            _fail(span, type(error).__name__)
            raise
        finally:
            span.end()

    def attempt(self, run: Run) -> Attempt:
        """The span of this process's work on a run that it has claimed."""
        parent = _context_of(run.request.traceparent)
        trace_id = _trace_id(run) if parent is None else parent.trace_id
        flags = _SAMPLED if parent is None else parent.trace_flags
        links = ()
        if run.epoch > 1:
            links = (
                Link(SpanContext(trace_id, _span_id(run, run.epoch - 1), is_remote=True, trace_flags=flags)),
            )
        self._ids.trace_id, self._ids.span_id = trace_id, _span_id(run, run.epoch)
        span = self._tracer.start_span(
            "invoke_agent",
            _under(parent),
            SpanKind.INTERNAL,
            {
                "gen_ai.operation.name": "invoke_agent",
                **_facts(run),
                "runstead.run.attempt": run.epoch,
            },
            links,
        )
        self._ids.trace_id = None
        return Attempt(self._start, span, run, content=self._content)

    def _start(self, name: str, under: Span, kind: SpanKind, attributes: Mapping[str, object]) -> Span:
        return self._tracer.start_span(
            name, set_span_in_context(under, Context()), kind, cast("Mapping[str, str]", attributes)
        )

    async def close(self) -> None:
        """Send what is left, as far as the collector takes it in time."""
        ending = threading.Thread(target=self._end, name="traces-end", daemon=True)
        ending.start()
        try:
            async with asyncio.timeout(CLOSE_S):
                while ending.is_alive():  # noqa: ASYNC110 - a thread's end wakes nobody
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            self._exporter.shutdown()  # it waits for a collector that does not answer

    def _end(self) -> None:
        self._provider.force_flush(int(CLOSE_S * 1000))
        self._provider.shutdown()


class Attempt:
    """One owner's work on a run: its span, and those of what it does. See `traces.Traced`."""

    def __init__(self, start: _Start, span: Span, run: Run, *, content: bool) -> None:
        self._start = start
        self._span = span
        self._before = run
        self._content = content
        self._number = run.step_count
        self._step: Span | None = None
        self._asked = False

    @property
    def trace_id(self) -> str:
        """The trace's id, as it is written."""
        return f"{self._span.get_span_context().trace_id:032x}"

    def step(self, step: Step, agent: Agent) -> Step:
        """A step begins, and with it the one before is over."""
        self._end_step()
        self._number += 1
        self._span.update_name(f"invoke_agent {agent.name}")
        self._span.set_attributes(
            {"gen_ai.agent.name": agent.name, "gen_ai.request.model": step.model_handle}
        )
        facts = {"runstead.step.id": step.id, "runstead.step.number": self._number}
        self._step = self._start("step", self._span, SpanKind.INTERNAL, facts)
        return replace(step, trace_id=self.trace_id)

    def chat(self, model: str, provider: str, url: str | None, settings: ModelSettings) -> ChatSpan:
        """A model is asked: for the step that has just begun, or, to summarise, for none."""
        if self._asked:
            self._end_step()
        self._asked = self._step is not None
        facts: dict[str, object] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": _PROVIDERS.get(provider, provider),
            "gen_ai.request.model": model,
            "gen_ai.request.stream": True,
            "gen_ai.conversation.id": self._before.lane,
            **_asked_for(settings),
            **_server(url),
        }
        span = self._start(f"chat {model}", self._step or self._span, SpanKind.CLIENT, facts)
        return ChatSpan(span, self._step, content=self._content)

    def tool(self, call: ToolCall, name: str) -> ToolSpan:
        """A tool is called: by the step under way, or, after a takeover, by one whose model was asked before."""
        if self._step is None:
            facts = {"runstead.step.number": self._number, "runstead.step.resumed": True}
            self._step = self._start("step", self._span, SpanKind.INTERNAL, facts)
            self._asked = True
        facts = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.call.id": call.id,
            "gen_ai.tool.type": "function",
        }
        if self._content:
            facts["gen_ai.tool.call.arguments"] = call.arguments[:CONTENT_CHARS_MAX]
        span = self._start(f"execute_tool {name}", self._step, SpanKind.INTERNAL, facts)
        return ToolSpan(span, content=self._content)

    def end(self, run: Run, broke: Exception | None = None) -> None:
        """The work is over: so is the run, or another owner goes on, or `broke` ended it."""
        self._end_step()
        used = run.usage.total_tokens - self._before.usage.total_tokens
        self._span.set_attributes({"runstead.run.status": run.status.value, "runstead.run.tokens": used})
        if run.stop_reason is not None:
            self._span.set_attribute("runstead.run.stop_reason", run.stop_reason.value)
        if broke is not None:
            _fail(self._span, type(broke).__name__)
        elif run.status is RunStatus.FAILED:
            error = run.metadata.get("error")
            kind = (
                cast("Mapping[str, object]", error).get("error_type") if isinstance(error, Mapping) else None
            )
            _fail(self._span, str(kind or run.stop_reason))
        self._span.end()

    def _end_step(self) -> None:
        if self._step is not None:
            self._step.end()
        self._step, self._asked = None, False


class ChatSpan:
    """A question to a model, while it is answered."""

    def __init__(self, span: Span, step: Span | None, *, content: bool) -> None:
        self._span = span
        self._step = step
        self.content = content

    def question(self, system: str, messages: list[Message]) -> None:
        """What was asked, where content is wanted."""
        self._span.set_attribute("gen_ai.system_instructions", _texts([("system", system)]))
        said = [(message.role.value, message.text) for message in messages]
        self._span.set_attribute("gen_ai.input.messages", _texts(said))

    def answer(self, text: str) -> None:
        """What was answered, where content is wanted."""
        self._span.set_attribute("gen_ai.output.messages", _texts([("assistant", text)]))

    def first(self, seconds: float) -> None:
        """The first thing was said, so long after the question."""
        self._span.set_attribute("gen_ai.response.time_to_first_chunk", seconds)
        self._span.add_event("runstead.first_token")

    def finished(self, reason: str, usage: Usage, response_id: str | None) -> None:
        """The answer is whole."""
        facts: dict[str, object] = {
            "gen_ai.response.finish_reasons": (reason,),
            "gen_ai.usage.input_tokens": usage.prompt_tokens,
            "gen_ai.usage.output_tokens": usage.completion_tokens,
        }
        if response_id is not None:
            facts["gen_ai.response.id"] = response_id
        for name, count in (
            ("cache_read.input_tokens", usage.cached_input_tokens),
            ("cache_write.input_tokens", usage.cache_write_tokens),
            ("reasoning.output_tokens", usage.reasoning_tokens),
        ):
            if count:
                facts["gen_ai.usage." + name] = count
        self._span.set_attributes(cast("Mapping[str, str]", facts))

    def failed(self, kind: str) -> None:
        """The model failed, and with it the step."""
        _fail(self._span, kind)
        if self._step is not None:
            _fail(self._step, kind)

    def end(self) -> None:
        """Nothing more comes: the answer is whole, the model failed, or nobody wants to hear more."""
        self._span.end()


class ToolSpan:
    """A call of a tool, while it is made."""

    def __init__(self, span: Span, *, content: bool) -> None:
        self._span = span
        self._content = content

    def end(self, outcome: ToolOutcome | None) -> None:
        """What came of it; None where it was interrupted."""
        if outcome is None:
            self._span.set_attributes({"runstead.interrupted": True})
        elif outcome.status != "success":
            _fail(self._span, "tool_error")
        if outcome is not None and self._content:
            self._span.set_attribute("gen_ai.tool.call.result", outcome.text[:CONTENT_CHARS_MAX])
        self._span.end()


class _Ids(RandomIdGenerator):
    """Random ids, but for the next span where one is given."""

    trace_id: int | None = None
    span_id: int | None = None

    def generate_trace_id(self) -> int:
        given, self.trace_id = self.trace_id, None
        return super().generate_trace_id() if given is None else given

    def generate_span_id(self) -> int:
        given, self.span_id = self.span_id, None
        return super().generate_span_id() if given is None else given


def _resource(version: str) -> Resource:
    found = Resource.create({"service.version": version})
    if str(found.attributes.get("service.name", "")).startswith("unknown_service"):
        found = found.merge(Resource({"service.name": "runstead"}))
    return found


def _facts(run: Run) -> dict[str, str]:
    return {
        "gen_ai.agent.id": run.agent_id,
        "gen_ai.conversation.id": run.lane,
        "runstead.run.id": run.id,
        "runstead.run.type": run.type.value,
    }


def _asked_for(settings: ModelSettings) -> dict[str, object]:
    asked = {
        "gen_ai.request.max_tokens": settings.max_tokens,
        "gen_ai.request.temperature": settings.temperature,
    }
    return {name: value for name, value in asked.items() if value is not None}


def _server(url: str | None) -> dict[str, object]:
    """Where a model is, without what an address may hide: user, password, query."""
    place = urlsplit(url or "")
    if not place.hostname:
        return {}
    return {
        "server.address": place.hostname,
        "server.port": place.port or (443 if place.scheme == "https" else 80),
    }


def _texts(said: list[tuple[str, str]]) -> str:
    told = [{"role": role, "parts": [{"type": "text", "content": text}]} for role, text in said]
    return orjson.dumps(told).decode()[:CONTENT_CHARS_MAX]


def _fail(span: Span, kind: str) -> None:
    span.set_attribute("error.type", kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def _trace_id(run: Run) -> int:
    return int.from_bytes(hashlib.sha256(run.id.encode()).digest()[:16]) or 1


def _span_id(run: Run, epoch: int) -> int:
    return int.from_bytes(hashlib.sha256(f"{run.id}:{epoch}".encode()).digest()[:8]) or 1


def _context_of(traceparent: str | None) -> SpanContext | None:
    if traceparent is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(
        int(trace_id, 16), int(span_id, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16))
    )


def _under(parent: SpanContext | None) -> Context:
    """Where a span belongs; never under what happens to be current."""
    return Context() if parent is None else set_span_in_context(NonRecordingSpan(parent), Context())


def _traceparent(place: SpanContext) -> str:
    return f"00-{place.trace_id:032x}-{place.span_id:016x}-{int(place.trace_flags):02x}"
