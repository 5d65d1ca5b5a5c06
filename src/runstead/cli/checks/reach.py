"""What a server reaches and is reached by: its port, the providers of models, Redis."""

from __future__ import annotations

import asyncio
import socket
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib import import_module
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from runstead import __version__
from runstead.cli.banner import address
from runstead.cli.checks.finding import Finding, fail, ok, warn
from runstead.errors import ModelError
from runstead.llm.model_lists import ModelList, shown_url
from runstead.settings import ProviderSettings, Secret, Settings

ANSWER_S_MAX = 10.0
NEAR_S_MAX = 3.0


def port(settings: Settings) -> Finding:
    """Whether the port is free, or served by a Runstead."""
    place = f"{settings.host}:{settings.port}"
    if settings.port == 0:
        return ok("port", "a free one will be taken")
    version = _served_by(settings)
    if version == __version__:
        return ok("port", f"{place} is served by Runstead {version}")
    if version:
        return warn(
            "port", f"{place} is served by Runstead {version}, this is {__version__}", "restart that server"
        )
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as error:
            advice = "choose another with --port or RUNSTEAD_PORT (and --host), or end what listens there"
            return fail("port", f"{place} cannot be listened on ({error.strerror})", advice)
    return ok("port", f"{place} is free")


def providers(settings: Settings) -> list[Finding]:
    """Whether each provider of models that is configured answers."""
    if not settings.providers:
        advice = (
            "set a key or base URL (OPENAI_API_KEY, ANTHROPIC_API_KEY, OLLAMA_BASE_URL, …) for real answers"
        )
        return [warn("models", "no provider is configured: there is runstead/demo only", advice)]
    return asyncio.run(_all(settings.providers))


def time_elsewhere(settings: Settings) -> datetime | None:
    """The time of day as the first provider has it; None where nobody says."""
    for provider in settings.providers:
        try:
            told = httpx.head(provider.base_url, timeout=NEAR_S_MAX).headers.get("date")
            return None if told is None else parsedate_to_datetime(told)
        except (httpx.HTTPError, httpx.InvalidURL, ValueError):
            continue
    return None


def redis(url: str) -> Finding:
    """Whether Redis answers."""
    library: Any = import_module("redis")
    place = shown_url(url)
    try:
        with library.Redis.from_url(
            url, socket_connect_timeout=NEAR_S_MAX, socket_timeout=NEAR_S_MAX
        ) as client:
            told = client.info("server")
    except (library.RedisError, OSError, ValueError) as error:
        return fail("redis", f"{place} does not answer: {error}", "start Redis, or mend or unset its URL")
    return ok("redis", f"Redis {told['redis_version']} at {place}")


def redis_url(settings: Settings) -> str:
    """Redis' URL, for a Runstead that has such a setting."""
    value: object = getattr(settings, "redis_url", None)
    return value.reveal() if isinstance(value, Secret) else str(value or "")


def _served_by(settings: Settings) -> str:
    """The version of the Runstead that serves there; empty where there is none."""
    wild = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - looked at, not listened on
    url = address(settings)
    if settings.host in wild:
        url = f"http://{wild[settings.host]}:{settings.port}"
    try:
        answer = httpx.get(f"{url}/v1/health/", timeout=NEAR_S_MAX, trust_env=False)
        return str(orjson.loads(answer.content)["version"])
    except (httpx.HTTPError, orjson.JSONDecodeError, KeyError, TypeError):
        return ""


async def _all(configured: tuple[ProviderSettings, ...]) -> list[Finding]:
    return list(await asyncio.gather(*(_provider(each) for each in configured)))


async def _provider(provider: ProviderSettings) -> Finding:
    check, place = f"models {provider.name}", shown_url(provider.base_url)
    models = ModelList(provider)
    try:
        async with asyncio.timeout(ANSWER_S_MAX):
            offer = await models.ask()
    except (ModelError, TimeoutError, OSError) as error:
        why = error.detail if isinstance(error, ModelError) else f"no answer within {ANSWER_S_MAX:g} s"
        local = urlsplit(provider.base_url).hostname in {"127.0.0.1", "localhost", "::1"}
        advice = "start it" if local else "check its key, its base URL and the network"
        return fail(check, f"{place}: {why}", advice)
    finally:
        models.close()
    if not offer.models:
        return warn(check, f"{place} answers, but has no model", "load a model there")
    return ok(check, f"{place}: {len(offer.models)} models, first {offer.models[0].handle}")
