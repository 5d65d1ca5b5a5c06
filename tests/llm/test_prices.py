"""What tokens cost: list prices where they hold, nothing where they do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.world import world

from runstead.domain.step import Usage
from runstead.llm.prices import cost, costs, priced
from runstead.llm.scripted import ScriptedGateway, says
from runstead.settings import ProviderSettings, Settings

OPENAI = ProviderSettings("openai", "openai", "https://api.openai.com/v1")
LOCAL = ProviderSettings("openai", "chat", "http://127.0.0.1:9999/v1")
OLLAMA = ProviderSettings("ollama", "chat", "http://127.0.0.1:11434/v1")
USAGE = Usage(prompt_tokens=1_000_000, completion_tokens=100_000)


async def test_a_price_holds_at_the_providers_own_address_only() -> None:
    calls = [
        ("openai/gpt-4o", USAGE),
        ("openai/no-such-model", USAGE),
        ("ollama/gpt-4o", USAGE),
        (None, USAGE),
    ]
    known, *unknown = await costs(calls, [OPENAI, OLLAMA])
    assert known == pytest.approx(1 * 2.5 + 0.1 * 10)
    assert unknown == [None, None, None]
    assert await costs(calls, [LOCAL, OLLAMA]) == [None] * 4
    assert priced([OPENAI, LOCAL, OLLAMA]) == {"openai"}


async def test_nothing_used_has_no_price() -> None:
    assert await costs([("openai/gpt-4o", Usage())], [OPENAI]) == [None]


def test_what_was_cached_costs_less() -> None:
    full, cached = (
        cost("openai", "gpt-4o", USAGE),
        cost("openai", "gpt-4o", replace(USAGE, cached_input_tokens=900_000)),
    )
    assert full is not None
    assert cached is not None
    assert cached < full


def test_a_usage_that_does_not_add_up_has_no_price() -> None:
    assert cost("openai", "gpt-4o", Usage(prompt_tokens=1, cached_input_tokens=10)) is None


async def test_lists_and_steps_say_what_was_spent(tmp_path: Path) -> None:
    """In dollars, of the run and of each of its steps."""
    settings = Settings(drain_s=0.0, reconcile_s=0.05, providers=(OPENAI,))
    async with world(tmp_path, ScriptedGateway([says("hello")] * 2), settings=settings) as w:
        await w.say(await w.agent(model="openai/gpt-4o"), "hello")
        (run,) = await w.get("/v1/runs/?include=runstead.summary")
        (step,) = await w.get(f"/v1/runs/{run['id']}/steps")
        assert run["summary"]["cost_usd"] == step["cost_usd"] > 0
        assert (await w.get("/v1/steps/"))[0]["cost_usd"] == step["cost_usd"]
        assert (await w.get(f"/v1/steps/{step['id']}"))["cost_usd"] == step["cost_usd"]
        await w.say(await w.agent(), "hello")
        assert (await w.get("/v1/runs/?include=runstead.summary"))[0]["summary"]["cost_usd"] is None
