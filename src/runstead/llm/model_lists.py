"""The lists of models that providers publish, read into `Offer`s. One question each, no cache, no retries.

Lists say little, and each says it elsewhere: a window is taken from the answer where it stands there, else from `catalog`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import urlsplit, urlunsplit

import orjson

from runstead.llm import catalog, failures
from runstead.llm.http_stream import HttpOrigin
from runstead.llm.provider import Offer
from runstead.llm.types import EmbeddingInfo, ModelInfo
from runstead.outward.addresses import Reach
from runstead.settings import ProviderSettings

LIST_BYTES_MAX = 16 * 1024 * 1024

_PATHS: Mapping[str, str] = {
    "chat": "/models",
    "openai": "/models",
    "anthropic": "/v1/models?limit=1000",
    "google": "/v1beta/models?pageSize=1000",
}
_WINDOWS = (
    "context_length",
    "max_model_len",
    "context_window",
    "max_context_length",
    "inputTokenLimit",
    "max_input_tokens",
)
_OUTPUTS = ("max_output_tokens", "outputTokenLimit", "max_tokens")


class ModelList:
    """The list of one provider. Connections are kept, for it is asked again and again."""

    def __init__(self, provider: ProviderSettings, *, reach: Reach | None = None) -> None:
        self._provider = provider
        self._origin = origin_of(provider, reach=reach)

    async def ask(self) -> Offer:
        """What the provider has now. Raises `ModelError`."""
        return read(self._provider, await self.get(_PATHS[self._provider.kind]))

    async def get(self, path: str) -> bytes:
        """What stands at a path. Raises `ModelError` for all but a 200."""
        answer = await self._origin.ask("GET", path, bytes_max=LIST_BYTES_MAX)
        if answer.status != 200:
            key = self._origin.key
            raise failures.from_status(self._provider.name, answer.status, answer.body, key=key)
        return answer.body

    def close(self) -> None:
        """Let go of the connection."""
        self._origin.close()


def read(provider: ProviderSettings, body: bytes) -> Offer:
    """What a list says. Entries that are not models of text or vectors are left out; raises `ModelError` for no list."""
    try:
        answer: Any = orjson.loads(body)
        entries = [
            cast("dict[str, Any]", e)
            for e in cast("list[object]", answer.get("data") or answer.get("models") or [])
            if isinstance(e, dict)
        ]
    except (orjson.JSONDecodeError, AttributeError, TypeError):
        raise failures.malformed(provider.name, "its list of models is not JSON of a list") from None
    named = [(_name(entry), entry) for entry in entries]
    models = tuple(info_of(provider, name, entry) for name, entry in named if name and catalog.answers(name))
    embeddings = tuple(
        EmbeddingInfo(
            f"{provider.name}/{name}",
            provider.name,
            name,
            shown_url(provider.base_url),
            catalog.dimensions(name),
        )
        for name, _ in named
        if name and catalog.embeds(name)
    )
    return Offer(models, embeddings)


def info_of(provider: ProviderSettings, name: str, entry: Mapping[str, Any] | None = None) -> ModelInfo:
    """What is known of one model, from its entry in a list (if there is one) and from its name."""
    entry = entry or {}
    family = catalog.known(name)
    meta = entry.get("meta")
    trained: object = cast("dict[str, object]", meta).get("n_ctx_train") if isinstance(meta, dict) else None
    window = _first_number([*(entry.get(key) for key in _WINDOWS), trained])
    return ModelInfo(
        handle=f"{provider.name}/{name}",
        provider=provider.name,
        protocol=provider.kind,
        name=name,
        base_url=shown_url(provider.base_url),
        context_window_tokens=window or family.window,
        output_tokens_max=_first_number(entry.get(key) for key in _OUTPUTS) or family.output,
        images=family.images,
    )


def shown_url(url: str) -> str:
    """The URL without what may be secret in it: a user, a password, a query."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def origin_of(provider: ProviderSettings, *, reach: Reach | None = None) -> HttpOrigin:
    """Where a provider is asked for whole answers, with its key."""
    key = provider.api_key.reveal() if provider.api_key else None
    headers = {"accept": "application/json", "user-agent": "runstead"}
    if key:
        headers |= _authentication(provider.kind, key)
    return HttpOrigin(provider.name, provider.base_url, headers, key=key, reach=reach)


def _authentication(kind: str, key: str) -> Mapping[str, str]:
    """The headers by which a provider of that kind knows the key."""
    if kind == "anthropic":
        return {"x-api-key": key, "anthropic-version": "2023-06-01"}
    return {"x-goog-api-key": key} if kind == "google" else {"authorization": f"Bearer {key}"}


def _name(entry: Mapping[str, Any]) -> str:
    name: object = entry.get("id") or entry.get("name")
    return name.removeprefix("models/") if isinstance(name, str) else ""


def _first_number(values: Iterable[object]) -> int | None:
    return next((v for v in values if isinstance(v, int) and v > 0), None)
