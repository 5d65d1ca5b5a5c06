"""Where a handle (`provider/model`) finds its provider, and where patience and retries live. Speaks no protocol itself.

Imports nothing heavy: a provider's module is loaded in a thread when its first model is asked. What a reader would get
wrong: nothing is tried again once a delta was given, because somebody may have seen it already.
"""

from __future__ import annotations

import asyncio
import importlib
import random
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

from runstead.clock import Clock
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import Ids, RandomIds
from runstead.llm import demo, ngrams
from runstead.llm.model_lists import ModelList, info_of
from runstead.llm.own_providers import OwnProviders, unknown
from runstead.llm.patience import Limits, Patience
from runstead.llm.provider import SAME_PROVIDERS, Offer, Provider, ProviderModule, found_in
from runstead.llm.types import Delta, EmbeddingInfo, Finish, ModelInfo, ModelRequest
from runstead.outward.addresses import Reach
from runstead.settings import ProviderSettings, Settings

LIST_S_MAX = 3.0
LIST_KEPT_NS = 30 * 10**9
BACKOFF_FIRST_S = 0.5
BACKOFF_S_MAX = 8.0
RETRY_AFTER_WAITED_S_MAX = 30.0

_MODULES = {
    "chat": "runstead.llm.chat_completions",
    "openai": "runstead.llm.pydantic_ai_openai",
    "anthropic": "runstead.llm.pydantic_ai_anthropic",
    "google": "runstead.llm.pydantic_ai_google",
}
# The reference's names for "whatever there is".
_ANY = {"letta/auto", "letta/letta-free"}


def names_taken(providers: Iterable[ProviderSettings]) -> set[str]:
    """What handles begin with that are the server's: no provider that an actor brings is called so."""
    names = {provider.name for provider in providers}
    return {
        *names,
        *(other for other, name in SAME_PROVIDERS.items() if name in names),
        demo.PROVIDER,
        "letta",
    }


@dataclass(frozen=True, slots=True)
class _Chosen:
    """Who is asked, what errors call it, and the model's bare name."""

    provider: Provider
    provider_name: str
    name: str


class ProviderGateway:
    """The `Gateway` of a real server. `own` are the providers that actors brought, where there may be any.

    `sleep` (seconds) and `jitter` (0 to 1) are for tests; `demo_token_s` is the demonstration's pace.
    """

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        *,
        ids: Ids | None = None,
        own: OwnProviders | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        jitter: Callable[[], float] = random.random,
        demo_token_s: float = demo.TOKEN_S,
    ) -> None:
        self._settings = {provider.name: provider for provider in settings.providers}
        self._limits = Limits.of(settings)
        self._clock = clock
        self._ids = ids or RandomIds()
        self._own = own
        self._sleep = sleep
        self._jitter = jitter
        self._providers: dict[str, Provider] = {
            demo.PROVIDER: demo.DemoModel(self._ids, token_s=demo_token_s)
        }
        self._lists: dict[str, ModelList] = {}
        self._connecting = asyncio.Lock()
        self._listing = asyncio.Lock()
        self._offer: Offer | None = None
        self._offered_ns = 0

    async def stream(self, request: ModelRequest) -> AsyncGenerator[Delta]:
        """See `Gateway.stream`."""
        async with self._chosen(request) as chosen, aclosing(self._patiently(chosen, request)) as answer:
            async for delta in answer:
                yield delta

    async def _patiently(self, chosen: _Chosen, request: ModelRequest) -> AsyncGenerator[Delta]:
        """One provider's answer, asked for again while nothing was said and that may help."""
        patience = Patience(self._limits, chosen.provider_name)
        attempt = 0
        try:
            while True:
                said = False
                try:
                    async with aclosing(_once(chosen.provider, request, chosen.name, patience)) as answer:
                        async for delta in answer:
                            said = True
                            yield replace(delta, retries=attempt) if isinstance(delta, Finish) else delta
                    return
                except ModelError as error:
                    pause_s = None if said else self._pause_s(error, attempt, patience.left_s)
                    if pause_s is None:
                        error.retries = attempt
                        raise
                attempt += 1
                await self._sleep(pause_s)
        finally:
            patience.close()

    async def models(self) -> Sequence[ModelInfo]:
        """See `Gateway.models`. Answers are kept for LIST_KEPT_NS."""
        return [*(await self._offers()).models, demo.INFO]

    async def embeddings(self) -> Sequence[EmbeddingInfo]:
        """See `Gateway.embeddings`."""
        return [*(await self._offers()).embeddings, ngrams.INFO]

    def model(self, handle: str) -> ModelInfo | None:
        """See `Gateway.model`."""
        if handle == demo.HANDLE:
            return demo.INFO
        offered = self._offer.models if self._offer is not None else ()
        if handle in _ANY:
            return replace(offered[0] if offered else demo.INFO, handle=handle)
        settings, name = found_in(self._settings, handle)
        if settings is None:
            return None
        listed = next(
            (info for info in offered if info.provider == settings.name and info.name == name), None
        )
        return replace(listed or info_of(settings, name), handle=handle)

    async def close(self) -> None:
        """See `Gateway.close`."""
        for listed in self._lists.values():
            listed.close()
        for provider in self._providers.values():
            await provider.close()
        if self._own is not None:
            await self._own.shelf.close()

    @asynccontextmanager
    async def _chosen(self, request: ModelRequest) -> AsyncGenerator[_Chosen]:
        """Whom a handle means. Raises `ModelError` BAD_REQUEST naming what there is."""
        handle = request.model
        if handle in _ANY:
            handle = (await self.models())[0].handle
        if handle == demo.HANDLE:
            yield _Chosen(await self._provider(demo.PROVIDER), demo.PROVIDER, demo.INFO.name)
            return
        settings, name = found_in(self._settings, handle)
        if settings is not None:
            yield _Chosen(await self._provider(settings.name), settings.name, name)
            return
        prefix, _, name = handle.partition("/")
        own = self._own
        found = (
            await own.find(request.user_id, prefix) if own is not None and request.user_id and name else None
        )
        if own is None or found is None:
            raise unknown(handle, [*(f"{provider}/…" for provider in sorted(self._settings)), demo.HANDLE])
        if found.settings.kind != "chat":
            # The providers' libraries would say no more than that there is no connection.
            await own.may_reach(found.settings)
        connect = partial(self._connected, found.settings, own.reach)
        async with own.shelf.use(found.provider_id, found.version, connect) as provider:
            yield _Chosen(provider, prefix, name)

    async def _connected(self, settings: ProviderSettings, reach: Reach | None = None) -> Provider:
        # In a thread: a provider's library takes up to two seconds to import, and runs go on meanwhile.
        module = await asyncio.to_thread(importlib.import_module, _MODULES[settings.kind])
        return cast("ProviderModule", module).connect(settings, ids=self._ids, reach=reach)

    async def _provider(self, name: str) -> Provider:
        """The provider of that name, its module loaded and connected at first use."""
        if (provider := self._providers.get(name)) is not None:
            return provider
        async with self._connecting:
            if (provider := self._providers.get(name)) is None:
                provider = self._providers[name] = await self._connected(self._settings[name])
        return provider

    async def _offers(self) -> Offer:
        async with self._listing:
            now_ns = self._clock.monotonic_ns()
            if self._offer is None or now_ns - self._offered_ns > LIST_KEPT_NS:
                offers = await asyncio.gather(*(self._offer_of(name) for name in self._settings))
                self._offer = Offer(
                    tuple(info for offer in offers for info in offer.models),
                    tuple(info for offer in offers for info in offer.embeddings),
                )
                self._offered_ns = now_ns
            return self._offer

    async def _offer_of(self, name: str) -> Offer:
        """What one provider has now; nothing where it does not say so in time."""
        if name not in self._lists:
            self._lists[name] = ModelList(self._settings[name])
        try:
            async with asyncio.timeout(LIST_S_MAX):
                return await self._lists[name].ask()
        except (ModelError, TimeoutError):
            return Offer()

    def _pause_s(self, error: ModelError, attempt: int, left_s: float) -> float | None:
        """Seconds to wait before asking again, None where that would not help or there is no time for it."""
        if not error.retryable or attempt >= self._limits.retries:
            return None
        pause_s = min(BACKOFF_FIRST_S * 2.0**attempt, BACKOFF_S_MAX) * (0.5 + self._jitter() / 2)
        if error.retry_after_s is not None:
            if error.retry_after_s > RETRY_AFTER_WAITED_S_MAX:
                return None
            pause_s = max(pause_s, float(error.retry_after_s))
        return pause_s if pause_s < left_s else None


async def _once(
    provider: Provider, request: ModelRequest, name: str, patience: Patience
) -> AsyncGenerator[Delta]:
    """One answer, its `Finish` last. Raises `ModelError` where there is none, or nothing in it."""
    said = False
    async with aclosing(provider.stream(request, name)) as source:
        patience.begin()
        while (delta := await patience.next(source)) is not None:
            if type(delta) is not Finish:
                said = True
                yield delta
            elif said:
                yield delta
                return
            else:
                raise _nothing(patience.name, delta)
    raise _nothing(patience.name, None)


def _nothing(provider: str, finish: Finish | None) -> ModelError:
    """The error for an answer in which nothing was said."""
    if finish is None:
        return ModelError(
            ModelErrorKind.OTHER, f"stream incomplete: {provider} ended before it said anything"
        )
    text = f"{provider} gave an empty answer (finish reason: {finish.reason})"
    again = finish.reason not in {"length", "content_filter"}
    return ModelError(ModelErrorKind.EMPTY_RESPONSE, text, cause=finish.reason, retryable=again)
