"""Vectors from providers, over real HTTP: the two shapes, and everything that goes wrong as a `ModelError`."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from math import fsum
from typing import Any

import pytest
from tests.ports import free_port
from tests.provider_server import ProviderServer

from runstead.domain.embedding import Vector
from runstead.errors import ModelError, ModelErrorKind
from runstead.llm.embeddings import ProviderEmbedder
from runstead.settings import ProviderSettings, Secret, Settings

KEY = "sk-very-secret-key"


@pytest.fixture
async def server() -> AsyncGenerator[ProviderServer]:
    async with ProviderServer() as made:
        yield made


def embedder(*providers: ProviderSettings) -> ProviderEmbedder:
    return ProviderEmbedder(Settings(providers=providers))


async def ask(
    server: ProviderServer, *texts: str, kind: str = "chat", timeout_s: float = 10, question: bool = False
) -> list[Vector]:
    """Ask the server for vectors."""
    made = embedder(ProviderSettings("it", kind, server.base_url(kind), Secret(KEY)))
    try:
        return await made.embed("it/text-embed", texts, timeout_s=timeout_s, question=question)
    finally:
        made.close()


async def refused(server: ProviderServer, *texts: str, **more: Any) -> ModelError:
    with pytest.raises(ModelError) as caught:
        await ask(server, *(texts or ("red",)), **more)
    assert KEY not in str(caught.value) + caught.value.detail
    return caught.value


@pytest.mark.parametrize("kind", ["chat", "openai", "google"])
async def test_vectors_come_in_the_order_of_the_texts(server: ProviderServer, kind: str) -> None:
    """Each of length 1, whatever the model makes; the key goes where the provider looks for it."""
    red, blue, crimson = await ask(server, "red", "blue", "crimson", kind=kind)

    assert red == crimson != blue
    assert fsum(x * x for x in red) == pytest.approx(1.0)
    assert KEY in str(server.asked[0].headers)


async def test_google_is_told_what_is_looked_for(server: ProviderServer) -> None:
    """Its models make other vectors for questions than for what is looked through."""
    await ask(server, "red", kind="google")
    await ask(server, "red", kind="google", question=True)

    kinds = [asked.body["requests"][0]["taskType"] for asked in server.asked]
    assert kinds == ["RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]


@pytest.mark.parametrize(
    ("vectors", "what"),
    [
        ([[1.0], [1.0, 2.0]], "different lengths"),
        ([[0.0, 0.0], [1.0, 1.0]], "not a list of vectors"),
        ([[], []], "not a list of vectors"),
        ([["a"], ["b"]], "not a list of vectors"),
    ],
)
async def test_what_is_no_vector_is_not_taken(server: ProviderServer, vectors: list[Any], what: str) -> None:
    """Nothing is stored that could break a search later."""
    rows = iter(vectors)
    server.embed = lambda text: next(rows)

    assert what in (await refused(server, "a", "b")).detail


async def test_a_refusal_is_told_apart_from_an_absence(server: ProviderServer) -> None:
    """A text that is refused is given up, a model that is away is asked again."""

    def refuse(text: str) -> list[float]:
        raise ValueError(f"{text} is too long for {KEY}")

    server.embed = refuse
    assert (await refused(server)).kind is ModelErrorKind.BAD_REQUEST

    nobody = embedder(ProviderSettings("it", "chat", f"http://127.0.0.1:{free_port()}/v1"))
    with pytest.raises(ModelError) as caught:
        await nobody.embed("it/embed", ["red"], timeout_s=10)
    assert caught.value.kind is ModelErrorKind.UNREACHABLE


async def test_a_model_that_says_nothing_is_not_waited_for(server: ProviderServer) -> None:
    """Its time is over, whatever the library's own limits are."""
    assert (await refused(server, timeout_s=0.0)).kind is ModelErrorKind.TIMEOUT


async def test_handles(server: ProviderServer) -> None:
    """Which models can be asked is known without asking; the provider's other names work too."""
    url = server.base_url("chat")
    made = embedder(
        ProviderSettings("openai", "chat", url), ProviderSettings("anthropic", "anthropic", url, Secret("k"))
    )

    info = made.info("openai-proxy/text-embedding-3-large")
    assert info is not None
    assert (info.provider, info.name, info.dimensions) == ("openai", "text-embedding-3-large", 3072)
    assert info.base_url == url
    assert made.info("anthropic/claude") is made.info("ollama/e") is made.info("openai") is None
    with pytest.raises(ModelError, match="No configured provider"):
        await made.embed("ollama/e", ["red"], timeout_s=10)
    shipped = made.info("runstead/ngrams")
    assert shipped is not None
    assert shipped.demo
    (vector,) = await made.embed("runstead/ngrams", ["red"], timeout_s=10)
    assert len(vector) == shipped.dimensions
    assert server.asked == []
