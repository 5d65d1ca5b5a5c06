"""How a provider of each type is asked, and at which address."""

from __future__ import annotations

import pytest

from runstead.api.wire.providers import PROVIDER_TYPES
from runstead.errors import Invalid, NotImplementedHere
from runstead.llm.provider_types import TYPES, way_to


@pytest.mark.parametrize(
    ("provider_type", "base_url", "kind", "address"),
    [
        ("openai", None, "openai", "https://api.openai.com/v1"),
        ("openai", "https://api.openai.com/v1/", "openai", "https://api.openai.com/v1"),
        ("openai", "https://proxy.example/v1", "chat", "https://proxy.example/v1"),
        ("anthropic", None, "anthropic", "https://api.anthropic.com"),
        ("anthropic", "https://proxy.example/claude/", "anthropic", "https://proxy.example/claude"),
        ("ollama", "http://127.0.0.1:11434", "chat", "http://127.0.0.1:11434/v1"),
        ("vllm", "http://127.0.0.1:8000/v1/", "chat", "http://127.0.0.1:8000/v1"),
        ("groq", None, "chat", "https://api.groq.com/openai/v1"),
    ],
)
def test_a_type_has_its_way(provider_type: str, base_url: str | None, kind: str, address: str) -> None:
    way = way_to(provider_type, base_url)
    assert (way.kind, way.base_url) == (kind, address)


@pytest.mark.parametrize("provider_type", ["ollama", "vllm", "azure"])
def test_a_server_of_ones_own_has_no_address_that_could_be_known(provider_type: str) -> None:
    with pytest.raises(Invalid, match="base_url"):
        way_to(provider_type, None)


def test_what_needs_more_than_a_key_is_not_offered() -> None:
    """All types of the API are known; those that are not offered say so."""
    assert TYPES.keys() < set(PROVIDER_TYPES)
    missing = {each for each in PROVIDER_TYPES if each not in TYPES}
    assert missing == {"bedrock", "chatgpt_oauth", "google_vertex", "letta"}
    for each in missing:
        with pytest.raises(NotImplementedHere, match=each):
            way_to(each, None)


def test_every_address_is_safe() -> None:
    """Keys travel encrypted to what is not one's own."""
    assert all(each.base_url is None or each.base_url.startswith("https://") for each in TYPES.values())
