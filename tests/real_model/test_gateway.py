"""The gateway against a real server that speaks Chat Completions: set RUNSTEAD_REAL_MODEL_URL to its base URL."""

from __future__ import annotations

import os

import pytest

from runstead.clock import SystemClock
from runstead.domain.agent import ModelSettings
from runstead.llm.gateway import ProviderGateway
from runstead.llm.types import Finish, ModelRequest
from runstead.settings import ProviderSettings, Settings

URL = os.environ.get("RUNSTEAD_REAL_MODEL_URL", "")


@pytest.mark.skipif(not URL, reason="RUNSTEAD_REAL_MODEL_URL is not set")
async def test_a_real_server_answers_with_usage() -> None:
    provider = ProviderSettings("openai", "chat", URL.rstrip("/"))
    gateway = ProviderGateway(Settings(providers=(provider,)), SystemClock())
    try:
        handle = (await gateway.models())[0].handle
        question = ModelRequest(handle, "Say hello.", (), settings=ModelSettings(max_tokens=8))
        deltas = [delta async for delta in gateway.stream(question)]
    finally:
        await gateway.close()
    assert len(deltas) > 1
    assert isinstance(deltas[-1], Finish)
    assert deltas[-1].usage.completion_tokens > 0
