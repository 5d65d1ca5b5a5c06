"""What a server says when it is ready."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runstead.cli.banner import address, greeting, offer
from runstead.llm.types import ModelInfo
from runstead.settings import ProviderSettings, Secret, Settings

DEMO = ModelInfo("runstead/demo", "runstead", "demo", "demo", demo=True)
OPENAI = ProviderSettings("openai", "chat", "http://user:hidden@127.0.0.1:9/v1?key=hidden", Secret("hidden"))
SETTINGS = Settings(data_dir=Path("/data"), port=8284)


def model(name: str) -> ModelInfo:
    """A model of the provider."""
    return ModelInfo(f"openai/{name}", "openai", "chat", name)


@pytest.mark.parametrize(
    ("settings", "keys", "access"),
    [
        (SETTINGS, False, "open to everybody on this machine"),
        (SETTINGS, True, "with an API key"),
        (replace(SETTINGS, server_password=Secret("hidden")), False, "with the password or an API key"),
    ],
)
def test_it_says_where_it_is_and_who_may_use_it(settings: Settings, keys: bool, access: str) -> None:
    """Address, data folder, access; no secret."""
    said = greeting(settings, keys=keys)

    assert "listening on http://127.0.0.1:8284" in said
    assert "/data" in said
    assert access in said
    assert "hidden" not in said


def test_an_address_of_six_is_bracketed() -> None:
    """As URLs want it."""
    assert address(replace(SETTINGS, host="::1")) == "http://[::1]:8284"


def test_models_are_named_and_the_demonstration_is_called_one() -> None:
    """A few by name, the rest by number."""
    said = offer(replace(SETTINGS, providers=(OPENAI,)), [*map(model, "abcdefg"), DEMO])

    assert "openai/a, openai/b, openai/c, openai/d, openai/e and 2 more" in said
    assert "runstead/demo: a demonstration, no real model" in said


def test_a_silent_provider_is_named_without_its_secrets() -> None:
    """So that a wrong URL is seen at once."""
    said = offer(replace(SETTINGS, providers=(OPENAI,)), [DEMO])

    assert "openai: no answer from http://127.0.0.1:9/v1" in said
    assert "hidden" not in said
