"""Actors' own providers, asked through the gateway, in every protocol, over a real store and real connections."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.provider_server import ProviderServer
from tests.store.rows import NOW
from tests.template import put_database

from runstead.clock import SystemClock
from runstead.domain.message import Message, Role, TextPart
from runstead.domain.own_provider import OwnProvider
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import DEFAULT_USER, AgentId, CountingIds, MessageId, ProviderId, UserId
from runstead.llm.gateway import ProviderGateway
from runstead.llm.own_providers import KEY_NAME, OwnProviders
from runstead.llm.types import ModelRequest, TextDelta
from runstead.outward.inward import PROVIDERS, Inward
from runstead.settings import Settings
from runstead.store import actors, providers
from runstead.store.sqlite import SqliteDatabase
from runstead.store.vault import Vault

# The providers' libraries take their time to load.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
TYPES = {"chat": "vllm", "anthropic": "anthropic", "google": "google_ai"}
KEY = "sk-own-0123456789"
ID = ProviderId("provider-1")


class Bench:
    """A gateway with nothing but what actors brought."""

    def __init__(self, folder: Path, allowed: str = "127.0.0.1") -> None:
        settings = Settings(data_dir=folder, model_retries=0)
        self.db = SqliteDatabase(put_database(folder / "own.db"))
        self.vault = Vault(settings)
        self.own = OwnProviders(self.db, self.vault, Inward(allowed, PROVIDERS).reach)
        self.gateway = ProviderGateway(settings, SystemClock(), ids=CountingIds(), own=self.own)

    async def bring(self, kind: str, base_url: str, key: str = KEY) -> None:
        """Bring a provider of the default user, called `mine`."""
        sealed = self.vault.seal(ID, KEY_NAME, key)
        made = OwnProvider(ID, DEFAULT_USER, "mine", TYPES[kind], NOW, NOW, base_url, sealed)
        await self.db.write(providers.insert_provider, made)

    async def say(self, text: str, user_id: UserId | None = DEFAULT_USER) -> str:
        """What the model answers to this actor."""
        said = Message(MessageId("message-1"), DEFAULT_USER, AgentId("agent-1"), Role.USER, NOW)
        message = replace(said, parts=(TextPart(text),))
        request = ModelRequest("mine/gpt-4o", "", [message], user_id=user_id)
        deltas = [delta async for delta in self.gateway.stream(request)]
        return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    """A gateway whose actors may bring providers on this machine."""
    made = Bench(tmp_path)
    await made.db.write(actors.ensure_defaults, NOW)
    yield made
    await made.gateway.close()
    await made.db.close()


@pytest.mark.parametrize("kind", TYPES)
async def test_an_own_provider_is_asked_with_its_key(bench: Bench, kind: str) -> None:
    """In every protocol; another actor has no such provider, and neither has who acts for nobody."""
    async with ProviderServer() as server:
        server.key = KEY
        await bench.bring(kind, server.base_url(kind))
        assert await bench.say("good day") == "good day"
        for other in (UserId("user-other"), None):
            with pytest.raises(ModelError) as caught:
                await bench.say("good day", other)
            assert caught.value.kind is ModelErrorKind.BAD_REQUEST
        assert len(server.questions) == 1
        await bench.own.shelf.close()


@pytest.mark.parametrize("kind", TYPES)
async def test_the_address_is_looked_at_when_it_is_asked(bench: Bench, kind: str, tmp_path: Path) -> None:
    """What was allowed when it was brought may lead elsewhere now: nobody is connected to, and the words say why."""
    strict = Bench(tmp_path, allowed="")
    async with ProviderServer() as server:
        await bench.bring(kind, server.base_url(kind))
        with pytest.raises(ModelError) as caught:
            await strict.say("good day")
        assert caught.value.kind is ModelErrorKind.UNREACHABLE
        assert "RUNSTEAD_PROVIDER_ALLOW_HOSTS" in caught.value.detail
        assert server.connections == 0
    await strict.gateway.close()
    await strict.db.close()


async def test_another_key_holds_from_the_next_question_on(bench: Bench) -> None:
    """And after the provider is deleted there is none: the error says so."""
    async with ProviderServer() as server:
        await bench.bring("chat", server.base_url("chat"), "sk-old-0123456789")
        server.key = "sk-old-0123456789"
        assert await bench.say("one") == "one"
        server.key = KEY
        with pytest.raises(ModelError) as caught:
            await bench.say("two")
        assert caught.value.kind is ModelErrorKind.AUTHENTICATION
        assert "sk-old" not in caught.value.detail
        sealed = bench.vault.seal(ID, KEY_NAME, KEY)
        change = providers.change_provider
        await bench.db.write(change, DEFAULT_USER, ID, lambda each: replace(each, sealed_key=sealed))
        assert await bench.say("three") == "three"
        await bench.db.write(providers.delete_provider, DEFAULT_USER, ID)
        with pytest.raises(ModelError) as caught:
            await bench.say("four")
        assert "No provider is configured for the model 'mine/gpt-4o'" in caught.value.detail
        await bench.own.shelf.close()


async def test_a_model_that_is_not_listed_is_known_by_its_name(bench: Bench) -> None:
    await bench.bring("chat", "http://127.0.0.1:9/v1")
    info = await bench.own.model(DEFAULT_USER, "mine/gpt-4o")
    assert info is not None
    assert (info.handle, info.own_type, info.context_window_tokens) == ("mine/gpt-4o", "vllm", 128_000)
    assert await bench.own.model(UserId("user-other"), "mine/gpt-4o") is None
    assert await bench.own.model(DEFAULT_USER, "mine") is None
