"""Providers asked through pydantic-ai's model layer: one question, its events as deltas, its errors as `ModelError`.

Uses that library's models and never its agents, and switches its retries off: asking again is the gateway's. What is true of
one provider only stands in `pydantic_ai_openai`, `pydantic_ai_anthropic` and `pydantic_ai_google`. Heavy: import it lazily.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

import httpx2
import orjson
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import (
    ModelAPIError,
    ModelConnectionError,
    ModelHTTPError,
    ModelTimeoutError,
    UserError,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.output import OutputObjectDefinition
from pydantic_ai.settings import ModelSettings, ThinkingLevel
from pydantic_ai.tools import ToolDefinition

from runstead.errors import ModelError, ModelErrorKind
from runstead.llm import failures
from runstead.llm.provider import CONNECT_S_MAX, READ_S_MAX
from runstead.llm.pydantic_ai_events import EventReader
from runstead.llm.pydantic_ai_messages import history_of, instructions_of
from runstead.llm.types import Delta, ModelRequest
from runstead.outward.addresses import Reach
from runstead.outward.transport import outward_client
from runstead.settings import ProviderSettings

_EFFORTS = {"minimal", "low", "medium", "high", "xhigh", "max"}


@dataclass(frozen=True, slots=True)
class Library:
    """What the library needs for one provider: its models by name, its settings for a request, and how to let go of it.

    `system` is what the library calls the provider; thoughts are sent back only to the system that they came from.
    """

    system: str
    model: Callable[[str], Model]
    settings: Callable[[ModelRequest], ModelSettings]
    close: Callable[[], Awaitable[object]]


def client_for(reach: Reach | None) -> httpx2.AsyncClient | None:
    """A client that connects where `reach` says; None where that is anywhere: a provider's library then makes its own."""
    if reach is None:
        return None
    return outward_client(reach, httpx2.Timeout(READ_S_MAX, connect=CONNECT_S_MAX))


class LibraryProvider:
    """One provider behind the library; see `provider.Provider`."""

    def __init__(self, provider: ProviderSettings, library: Library) -> None:
        self._provider = provider
        self._key = provider.api_key.reveal() if provider.api_key else None
        self._library = library
        self._models: dict[str, Model] = {}

    async def stream(self, request: ModelRequest, name: str) -> AsyncGenerator[Delta]:
        """See `Provider.stream`."""
        reader = EventReader(self._provider.name)
        answer = self._read(request, name, reader)
        try:
            async with aclosing(answer):
                async for delta in answer:
                    yield delta
        except ModelError:
            raise
        except Exception as error:  # noqa: BLE001 - becomes a ModelError: libraries and transports raise all sorts
            raise self._failure(error, begun=reader.begun) from None

    async def close(self) -> None:
        """See `Provider.close`."""
        await self._library.close()

    async def _read(self, request: ModelRequest, name: str, reader: EventReader) -> AsyncGenerator[Delta]:
        asking = model_request_stream(
            self._model(name),
            history_of(request, self._library.system),
            model_settings=self._library.settings(request),
            model_request_parameters=parameters_of(request),
        )
        async with asking as answer:
            async for event in answer:
                for delta in reader.read(event):
                    yield delta
            yield reader.finish(answer)

    def _model(self, name: str) -> Model:
        if name not in self._models:
            self._models[name] = self._library.model(name)
        return self._models[name]

    def _failure(self, error: Exception, *, begun: bool) -> ModelError:
        provider, key = self._provider.name, self._key
        if isinstance(error, ModelHTTPError) and not error.in_stream:
            after = None if error.retry_after is None else str(error.retry_after)
            return failures.from_status(
                provider, error.status_code, _json(error.body), retry_after=after, key=key
            )
        if isinstance(error, ModelTimeoutError):
            text = failures.redacted(f"{provider} took too long: {error}", key)
            return ModelError(ModelErrorKind.TIMEOUT, text)
        if isinstance(error, ModelConnectionError | OSError):
            if begun:
                return failures.incomplete(provider)
            return failures.unreachable(provider, str(error), key=key)
        if isinstance(error, ModelAPIError):
            body = error.body or {"message": str(error), "code": getattr(error, "status_code", None)}
            return failures.from_stream(provider, body, key=key)
        if isinstance(error, UserError):
            text = failures.redacted(f"{provider} cannot be asked this: {error}", key)
            return ModelError(ModelErrorKind.BAD_REQUEST, text)
        return failures.malformed(provider, f"{type(error).__name__}: {error}", key=key)


def common_settings(request: ModelRequest) -> ModelSettings:
    """The settings that all providers share, in the library's words."""
    given = request.settings
    settings = ModelSettings(max_retries=0)
    if given.max_tokens:
        settings["max_tokens"] = given.max_tokens
    if given.temperature is not None:
        settings["temperature"] = given.temperature
    if given.parallel_tool_calls is not None and request.tools:
        settings["parallel_tool_calls"] = given.parallel_tool_calls
    if (level := thinking_of(request)) is not None:
        settings["thinking"] = level
    return settings


def thinking_of(request: ModelRequest) -> ThinkingLevel | None:
    """How much to think: False not at all, True or a level, None as the model does by default."""
    given = request.settings
    if given.thinking is False or given.reasoning_effort == "none":
        return False
    if given.reasoning_effort in _EFFORTS:
        return cast("ThinkingLevel", given.reasoning_effort)
    return True if given.thinking else None


def parameters_of(request: ModelRequest) -> ModelRequestParameters:
    """The tools, the instructions and the shape of the answer."""
    tools = [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=dict(tool.parameters),
            strict=False,
        )
        for tool in request.tools
    ]
    shape = _shape(request)
    return ModelRequestParameters(
        function_tools=tools,
        output_mode="text" if shape is None else "native",
        output_object=shape,
        allow_text_output=True,
        instruction_parts=instructions_of(request),
    )


def _shape(request: ModelRequest) -> OutputObjectDefinition | None:
    """The JSON schema that the answer must fit, where the request names one."""
    wanted = request.settings.response_format or {}
    inner: object = wanted.get("json_schema")
    if wanted.get("type") != "json_schema" or not isinstance(inner, dict):
        return None
    named = cast("dict[str, object]", inner)
    schema = named.get("schema")
    if not isinstance(schema, dict):
        return None
    name = named.get("name")
    strict = named.get("strict")
    return OutputObjectDefinition(
        json_schema=cast("dict[str, object]", schema),
        name=name if isinstance(name, str) else None,
        strict=strict if isinstance(strict, bool) else None,
    )


def _json(body: object) -> bytes:
    if isinstance(body, str):
        return body.encode()
    return b"" if body is None else orjson.dumps(body, default=str)
