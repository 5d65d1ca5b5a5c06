"""The loop, traced: spans around what works on a run, asks a model and calls a tool. Used only where traces are on.

It changes nothing of what it watches. A model or a tool that is asked outside of a run is not traced.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import AbstractContextManager, aclosing, nullcontext
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from structlog.contextvars import bound_contextvars

from runstead import __version__
from runstead.clock import Clock
from runstead.domain.message import ToolCall
from runstead.domain.run import Run
from runstead.domain.tool import ToolOutcome
from runstead.engine.owner import Executor
from runstead.errors import ModelError, StaleEpoch, Unavailable
from runstead.llm.types import Delta, EmbeddingInfo, Finish, Gateway, ModelInfo, ModelRequest, TextDelta
from runstead.loop.hold import Hold
from runstead.settings import Settings
from runstead.telemetry import traces
from runstead.tools.registry import UNKNOWN_TOOL, ToolWatch

if TYPE_CHECKING:
    from runstead.telemetry.spans import Attempt, ChatSpan, Spans


class Tracing:
    """Puts spans around parts, or, where traces are off (`spans` None), leaves them as they are."""

    def __init__(self, spans: Spans | None) -> None:
        self._spans = spans

    def executor(self, executor: Executor) -> Executor:
        """Runs."""
        return executor if self._spans is None else TracedExecutor(executor, self._spans)

    def gateway(self, gateway: Gateway, clock: Clock) -> Gateway:
        """Questions to models."""
        return gateway if self._spans is None else TracedGateway(gateway, clock)

    def tools(self, watch: ToolWatch) -> ToolWatch:
        """Calls of tools."""
        return watch if self._spans is None else TracedTools(watch)

    def admission(self, run: Run) -> AbstractContextManager[Run]:
        """The admission of a run."""
        return nullcontext(run) if self._spans is None else self._spans.admission(run)

    async def close(self) -> None:
        """Send what is left."""
        if self._spans is not None:
            await self._spans.close()


def open_tracing(settings: Settings) -> Tracing:
    """What the settings ask for. Only where they ask for traces is OpenTelemetry loaded."""
    if not settings.traces:
        return Tracing(None)
    module: Any = import_module("runstead.telemetry.spans")
    return Tracing(module.Spans(__version__, content=settings.trace_content))


class TracedExecutor:
    """An executor whose work on a run is a span, and current for all that is done within."""

    def __init__(self, executor: Executor, spans: Spans) -> None:
        self._executor = executor
        self._spans = spans

    async def execute(self, hold: Hold) -> None:
        """Work on the run until it is over or must be left."""
        attempt = self._spans.attempt(hold.run)
        before = traces.current.set(attempt)
        broke: Exception | None = None
        try:
            with bound_contextvars(trace_id=attempt.trace_id):
                await self._executor.execute(hold)
        except (StaleEpoch, Unavailable):  # another one goes on with it
            raise
        except Exception as error:  # it is the owner's to handle; the span says its type
            broke = error
            raise
        finally:
            traces.current.reset(before)
            attempt.end(hold.run, broke)

    async def fail(self, hold: Hold, error: Exception) -> None:
        """End a run that something unforeseen broke; its span says so already."""
        await self._executor.fail(hold, error)


class TracedGateway:
    """A gateway whose every answer is a span. See `llm.types.Gateway`."""

    def __init__(self, gateway: Gateway, clock: Clock) -> None:
        self._gateway = gateway
        self._clock = clock

    def stream(self, request: ModelRequest) -> AsyncIterator[Delta]:
        """See `Gateway.stream`."""
        attempt = cast("Attempt | None", traces.current.get())
        if attempt is None:
            return self._gateway.stream(request)
        return self._traced(request, attempt)

    async def _traced(self, request: ModelRequest, attempt: Attempt) -> AsyncGenerator[Delta]:
        info = self._gateway.model(request.model)
        provider, _, name = request.model.partition("/")
        if info is not None:
            provider, name = info.provider, info.name
        chat = attempt.chat(name or provider, provider, info.base_url if info else None, request.settings)
        if chat.content:
            chat.question(request.system, list(request.messages))
        heard = _Heard(chat, self._clock)
        try:
            source = cast("AsyncGenerator[Delta, None]", self._gateway.stream(request))
            async with aclosing(source) as deltas:
                async for delta in deltas:
                    heard.add(delta)
                    yield delta
        except ModelError as error:
            chat.failed(error.kind.value)
            raise
        finally:
            chat.end()

    async def models(self) -> Sequence[ModelInfo]:
        """See `Gateway.models`."""
        return await self._gateway.models()

    async def embeddings(self) -> Sequence[EmbeddingInfo]:
        """See `Gateway.embeddings`."""
        return await self._gateway.embeddings()

    def model(self, handle: str) -> ModelInfo | None:
        """See `Gateway.model`."""
        return self._gateway.model(handle)

    async def close(self) -> None:
        """See `Gateway.close`."""
        await self._gateway.close()


class _Heard:
    """What was heard of an answer so far, as far as its span tells of it."""

    def __init__(self, chat: ChatSpan, clock: Clock) -> None:
        self._chat = chat
        self._clock = clock
        self._began_ns = clock.monotonic_ns()
        self._silent = True
        self._said: list[str] | None = [] if chat.content else None

    def add(self, delta: Delta) -> None:
        """Take the next delta in."""
        if type(delta) is Finish:
            self._chat.finished(delta.reason, delta.usage, delta.response_id)
            if self._said is not None:
                self._chat.answer("".join(self._said))
        elif self._silent:
            self._silent = False
            self._chat.first((self._clock.monotonic_ns() - self._began_ns) / 1e9)
        if self._said is not None and isinstance(delta, TextDelta):
            self._said.append(delta.text)


class TracedTools:
    """A watch over tool calls that makes each a span, around another watch."""

    def __init__(self, watch: ToolWatch) -> None:
        self._watch = watch

    async def __call__(
        self, call: ToolCall, kind: str, made: Coroutine[Any, Any, ToolOutcome]
    ) -> ToolOutcome:
        """Make the call. What the model made up as a tool's name is content, and does not stand in the span."""
        attempt = cast("Attempt | None", traces.current.get())
        if attempt is None:
            return await self._watch(call, kind, made)
        span = attempt.tool(call, kind if kind == UNKNOWN_TOOL else call.name)
        outcome: ToolOutcome | None = None
        try:
            outcome = await self._watch(call, kind, made)
            return outcome
        finally:
            span.end(outcome)
