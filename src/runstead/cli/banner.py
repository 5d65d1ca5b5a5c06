"""What a server says when it is ready: where it listens, what it found, where its data is. Never a secret."""

from __future__ import annotations

import os
from collections.abc import Sequence
from urllib.parse import urlsplit, urlunsplit

from runstead import __version__
from runstead.llm.types import ModelInfo
from runstead.settings import Settings

MODELS_SHOWN_MAX = 5
LISTENING = "listening on "


def greeting(settings: Settings, *, keys: bool | None) -> str:
    """What is known as soon as the port is open. `keys`: whether there are API keys, None where nobody can say now."""
    return "\n".join(
        [
            f"Runstead {__version__} is {LISTENING}{address(settings)}",
            f"  data    {settings.data_dir}",
            f"  access  {_access(settings, keys=keys)}",
        ]
    )


def one_of_several(settings: Settings) -> str:
    """What a process says that serves beside others: one line."""
    return f"Runstead {__version__} (process {os.getpid()}) is {LISTENING}{address(settings)}"


def offer(settings: Settings, models: Sequence[ModelInfo]) -> str:
    """Which models there are. A configured provider with no model among `models` did not answer."""
    lines: list[str] = []
    for provider in settings.providers:
        handles = [model.handle for model in models if model.provider == provider.name]
        found = _shown(handles) if handles else f"no answer from {_place(provider.base_url)}"
        lines.append(f"  models  {provider.name}: {found}")
    lines.extend(
        f"  models  {model.handle}: a demonstration, no real model" for model in models if model.demo
    )
    return "\n".join(lines)


def address(settings: Settings) -> str:
    """The base URL of a server for clients on this machine."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def _access(settings: Settings, *, keys: bool | None) -> str:
    if settings.server_password is not None:
        return "with the password or an API key"
    if keys is None:
        return "nobody, until the database is there again"
    return (
        "with an API key"
        if keys
        else "open to everybody on this machine; `runstead keys create NAME` closes it"
    )


def _place(url: str) -> str:
    """A URL without the credentials that it may hold."""
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query=""))


def _shown(handles: list[str]) -> str:
    more = len(handles) - MODELS_SHOWN_MAX
    listed = ", ".join(handles[:MODELS_SHOWN_MAX])
    return f"{listed} and {more} more" if more > 0 else listed
