"""How models are answered."""

from __future__ import annotations

import pytest

from runstead.api.wire.models import embedding_model_state, endpoint_type, model_state, provider_type
from runstead.llm.types import EmbeddingInfo, ModelInfo


@pytest.mark.parametrize(
    ("protocol", "provider", "expected"),
    [
        ("chat", "vllm", "openai"),
        ("openai", "openai", "openai"),
        ("anthropic", "anthropic", "anthropic"),
        ("google", "google", "google_ai"),
        ("demo", "runstead", "openai"),
    ],
)
def test_protocols_have_the_apis_names(protocol: str, provider: str, expected: str) -> None:
    assert endpoint_type(ModelInfo("x/y", provider, protocol, "y"), provider) == expected


def test_providers_have_the_apis_names() -> None:
    assert [provider_type(name) for name in ("lmstudio", "google", "openai")] == [
        "lmstudio_openai",
        "google_ai",
        "openai",
    ]


def test_a_model_says_where_it_is_and_what_it_takes() -> None:
    state = model_state(ModelInfo("vllm/q", "vllm", "chat", "q", "http://h/v1", 32_000, 4_000))
    assert (state["model_endpoint"], state["context_window"], state["max_context_window"]) == (
        "http://h/v1",
        32_000,
        32_000,
    )
    assert state["max_tokens"] == 4_000


def test_an_embedding_model_says_its_dimensions() -> None:
    assert embedding_model_state(EmbeddingInfo("o/e", "o", "e", dimensions=9))["embedding_dim"] == 9
