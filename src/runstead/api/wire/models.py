"""Models as JSON: what can be asked, in the union of both generations' fields. Decides nothing about a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, cast

from pydantic import Field
from typing_extensions import TypedDict

from runstead.domain.agent import Agent
from runstead.llm.types import EmbeddingInfo, ModelInfo

# What the API calls the protocols that models are asked by.
_ENDPOINT_TYPES = {"openai": "openai", "chat": "openai", "anthropic": "anthropic", "google": "google_ai"}
_PROVIDER_TYPES = {"lmstudio": "lmstudio_openai", "google": "google_ai", "runstead": "letta"}
DEFAULT_TEMPERATURE = 1.0
EMBEDDING_BATCH = 32
EMBEDDING_CHUNK_CHARS = 300
HANDLE_CHARS_MAX = 500
# An agent that has no embedding model is answered with one of this name: some clients cannot read that there is none.
NO_EMBEDDING = "none"
EmbeddingHandle = Annotated[str, Field(max_length=HANDLE_CHARS_MAX)]


class LLMConfigState(TypedDict):
    """How a model is reached and asked."""

    model: str
    display_name: str | None
    model_endpoint_type: str
    model_endpoint: str | None
    provider_name: str | None
    provider_category: Literal["base", "byok"] | None
    model_wrapper: str | None
    context_window: int
    put_inner_thoughts_in_kwargs: bool | None
    handle: str | None
    temperature: float
    max_tokens: int | None
    enable_reasoner: bool
    reasoning_effort: str | None
    effort: str | None
    max_reasoning_tokens: int
    frequency_penalty: float | None
    compatibility_type: str | None
    verbosity: str | None
    tier: str | None
    parallel_tool_calls: bool | None
    response_format: dict[str, object] | None
    strict: bool
    return_logprobs: bool
    top_logprobs: int | None
    return_token_ids: bool
    tool_call_parser: str | None


class ModelState(LLMConfigState):
    """A model that can be given to an agent."""

    name: str
    model_type: Literal["llm"]
    provider_type: str
    max_context_window: int


class EmbeddingConfigState(TypedDict):
    """How an embedding model is reached."""

    embedding_endpoint_type: str
    embedding_endpoint: str | None
    embedding_model: str
    embedding_dim: int
    embedding_chunk_size: int | None
    handle: str | None
    batch_size: int
    azure_endpoint: str | None
    azure_version: str | None
    azure_deployment: str | None


class EmbeddingModelState(EmbeddingConfigState):
    """An embedding model that can be given to an agent."""

    name: str
    display_name: str
    model_type: Literal["embedding"]
    provider_name: str
    provider_type: str


def provider_type(provider: str) -> str:
    """What the API calls a provider."""
    return _PROVIDER_TYPES.get(provider, provider)


def category_of(info: ModelInfo) -> Literal["base", "byok"]:
    """Whose provider has a model: the server's, or the actor's own."""
    return "base" if info.own_type is None else "byok"


def endpoint_type(info: ModelInfo | None, provider: str) -> str:
    """What the API calls the way a model is reached."""
    if info is not None and info.protocol in _ENDPOINT_TYPES:
        return _ENDPOINT_TYPES[info.protocol]
    return _ENDPOINT_TYPES.get(provider, "openai")


def model_state(info: ModelInfo) -> ModelState:
    """A model as it is listed."""
    config = _config(info.handle, info, info.context_window_tokens)
    config["display_name"] = f"{info.name} (demonstration)" if info.demo else info.name
    config["max_tokens"] = info.output_tokens_max
    return {
        **config,
        "name": info.name,
        "model_type": "llm",
        "provider_type": info.own_type or provider_type(info.provider),
        "max_context_window": info.context_window_tokens,
    }


def llm_config(agent: Agent, info: ModelInfo | None) -> LLMConfigState:
    """The model of an agent, with its settings."""
    config = _config(agent.model, info, agent.context_window_tokens)
    settings = agent.settings
    if settings.temperature is not None:
        config["temperature"] = settings.temperature
    if settings.thinking is not None:
        config["enable_reasoner"] = settings.thinking
    config["max_tokens"] = settings.max_tokens
    config["reasoning_effort"] = settings.reasoning_effort
    config["max_reasoning_tokens"] = settings.thinking_budget_tokens or 0
    config["parallel_tool_calls"] = settings.parallel_tool_calls
    if settings.response_format is not None:
        config["response_format"] = dict(settings.response_format)
    return config


def embedding_model_state(info: EmbeddingInfo) -> EmbeddingModelState:
    """An embedding model as it is listed."""
    return {
        **embedding_config(info),
        "name": info.name,
        "display_name": f"{info.name} (spelling only, no meaning)" if info.demo else info.name,
        "model_type": "embedding",
        "provider_name": info.provider,
        "provider_type": provider_type(info.provider),
    }


def embedding_config(info: EmbeddingInfo) -> EmbeddingConfigState:
    """How an embedding model is reached, as it is answered."""
    return {
        "embedding_endpoint_type": _ENDPOINT_TYPES.get(info.provider, "openai"),
        "embedding_endpoint": info.base_url,
        "embedding_model": info.name,
        "embedding_dim": info.dimensions,
        "embedding_chunk_size": EMBEDDING_CHUNK_CHARS,
        "handle": info.handle,
        "batch_size": EMBEDDING_BATCH,
        "azure_endpoint": None,
        "azure_version": None,
        "azure_deployment": None,
    }


def embedding_of(handle: str | None, config: Mapping[str, object] | None) -> str | None:
    """The embedding model that a request names, as `provider/model`; None where it names none."""
    if handle is not None or not config:
        return handle
    named = config.get("handle")
    model = config.get("embedding_model")
    if named is None and model and model != NO_EMBEDDING:
        named = f"{config.get('embedding_endpoint_type') or 'openai'}/{model}"
    return named[:HANDLE_CHARS_MAX] if isinstance(named, str) and named else None


def embedding_state(handle: str | None, given: object) -> EmbeddingConfigState:
    """What was given of an embedding model; else its handle's, with nothing claimed that is not known."""
    provider, _, name = (handle or "").partition("/")
    config: EmbeddingConfigState = {
        "embedding_endpoint_type": "openai",
        "embedding_endpoint": None,
        "embedding_model": name or provider or NO_EMBEDDING,
        "embedding_dim": 0,
        "embedding_chunk_size": None,
        "handle": handle,
        "batch_size": 1,
        "azure_endpoint": None,
        "azure_version": None,
        "azure_deployment": None,
    }
    known: Mapping[str, object] = {}
    if isinstance(given, Mapping):
        known = cast("Mapping[str, object]", given)
    return cast("EmbeddingConfigState", {**config, **known})


def _config(handle: str, info: ModelInfo | None, context_window: int) -> LLMConfigState:
    provider, _, name = handle.partition("/")
    return {
        "model": info.name if info else name or handle,
        "display_name": None,
        "model_endpoint_type": endpoint_type(info, provider),
        "model_endpoint": info.base_url if info else None,
        "provider_name": info.provider if info else provider,
        # Of an agent whose model the server itself does not have only its actor's own provider can have it.
        "provider_category": "byok" if info is None else category_of(info),
        "model_wrapper": None,
        "context_window": context_window,
        "put_inner_thoughts_in_kwargs": False,
        "handle": handle,
        "temperature": DEFAULT_TEMPERATURE,
        "max_tokens": None,
        "enable_reasoner": True,
        "reasoning_effort": None,
        "effort": None,
        "max_reasoning_tokens": 0,
        "frequency_penalty": None,
        "compatibility_type": None,
        "verbosity": None,
        "tier": None,
        "parallel_tool_calls": None,
        "response_format": None,
        "strict": False,
        "return_logprobs": False,
        "top_logprobs": None,
        "return_token_ids": False,
        "tool_call_parser": None,
    }
