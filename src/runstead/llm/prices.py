"""What tokens cost, where that is known: list prices of the providers' own models, as a library that ships with them says.

Nothing is fetched. Where a provider is reached at an address that is not its own, or a model is not in the list, there is no
price; none is ever guessed. The library is large, so it is loaded when the first price is asked for, in a thread.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import lru_cache
from importlib import import_module
from typing import Any, cast
from urllib.parse import urlsplit

from runstead.domain.step import Usage
from runstead.settings import ProviderSettings

REMEMBERED_MAX = 20_000
# At which host a provider's list prices hold.
_HOSTS = {
    "openai": "api.openai.com",
    "anthropic": "api.anthropic.com",
    "google": "generativelanguage.googleapis.com",
    "openrouter": "openrouter.ai",
}


def priced(providers: Sequence[ProviderSettings]) -> frozenset[str]:
    """The names of those providers whose prices may be known."""
    return frozenset(
        each.name for each in providers if _HOSTS.get(each.name) == urlsplit(each.base_url).hostname
    )


async def costs(
    calls: Sequence[tuple[str | None, Usage]], providers: Sequence[ProviderSettings]
) -> list[float | None]:
    """What each of these cost, in US dollars; a call is a model's handle and its usage. None where that is not known."""
    names = priced(providers)
    if not any(handle and handle.partition("/")[0] in names for handle, _ in calls):
        return [None] * len(calls)
    return await asyncio.to_thread(lambda: [_cost(handle, usage, names) for handle, usage in calls])


def _cost(handle: str | None, usage: Usage, names: frozenset[str]) -> float | None:
    provider, _, model = (handle or "").partition("/")
    return cost(provider, model, usage) if provider in names and usage.total_tokens else None


@lru_cache(REMEMBERED_MAX)
def cost(provider: str, model: str, usage: Usage) -> float | None:
    """The list price of a usage, in US dollars. None where the model is not in the list."""
    library = cast("Any", import_module("genai_prices"))
    try:
        used = library.Usage(
            input_tokens=usage.prompt_tokens,
            output_tokens=usage.completion_tokens,
            cache_read_tokens=usage.cached_input_tokens,
            cache_write_tokens=usage.cache_write_tokens,
        )
        return float(library.calc_price(used, model_ref=model, provider_id=provider).total_price)
    except (LookupError, ValueError):  # unknown, or a usage that does not add up
        return None
