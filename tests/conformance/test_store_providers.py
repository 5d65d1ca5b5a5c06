"""What every store promises of the providers that actors bring. On both databases."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from tests.conformance.stores import Stores
from tests.store.rows import NOW

from runstead.domain.actor import User
from runstead.domain.own_provider import PROVIDERS_MAX, ListedModel, OwnProvider
from runstead.errors import Conflict
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, ProviderId, UserId
from runstead.store import actors, providers

pytestmark = pytest.mark.anyio
OTHER = UserId("user-other")


def provider(number: int, user_id: UserId = DEFAULT_USER, **fields: object) -> OwnProvider:
    """A provider of an actor; they are made a second apart."""
    at = NOW + timedelta(seconds=number)
    made = OwnProvider(ProviderId(f"provider-{user_id}-{number}"), user_id, f"mine-{number}", "vllm", at, at)
    return replace(made, **fields)


async def test_a_provider_is_kept_as_it_is_and_changed(two: Stores) -> None:
    """Every field comes back, in another process too; a change is read, made and written in one go."""
    full = provider(
        1, base_url="http://127.0.0.1:9", sealed_key=b"\x00sealed\xff", region="eu", api_version="2", last_synced=NOW,
        models=(ListedModel("large", 200_000, 8_000, images=True), ListedModel("small", 8_192)),
    )  # fmt: skip
    await two.a.write(providers.insert_provider, full)
    assert await two.b.read(providers.find_provider, DEFAULT_USER, full.id) == full
    assert await two.b.read(providers.find_by_name, DEFAULT_USER, "mine-1") == full
    assert "sealed" not in repr(full.sealed_key and full)

    def rekeyed(before: OwnProvider) -> OwnProvider:
        return replace(before, sealed_key=b"other", models=())

    changed = await two.b.write(providers.change_provider, DEFAULT_USER, full.id, rekeyed)
    assert changed == rekeyed(full)
    assert await two.a.read(providers.list_providers, DEFAULT_USER) == [rekeyed(full)]
    assert await two.a.write(providers.delete_provider, DEFAULT_USER, full.id)
    assert not await two.b.write(providers.delete_provider, DEFAULT_USER, full.id)
    assert await two.b.read(providers.find_by_name, DEFAULT_USER, "mine-1") is None


async def test_another_actor_has_none_of_it(two: Stores) -> None:
    """Names are each actor's own; nothing is read, changed or deleted across."""
    await two.a.write(actors.insert_user, User(OTHER, DEFAULT_ORGANIZATION, "o", NOW, NOW))
    mine, theirs = provider(1), provider(1, OTHER)
    await two.a.write(providers.insert_provider, mine)
    await two.a.write(providers.insert_provider, theirs)
    assert await two.a.read(providers.find_by_name, OTHER, mine.name) == theirs
    assert await two.a.read(providers.list_providers, OTHER) == [theirs]
    assert await two.a.read(providers.find_provider, OTHER, mine.id) is None
    assert await two.a.write(providers.change_provider, OTHER, mine.id, lambda each: each) is None
    assert not await two.a.write(providers.delete_provider, OTHER, mine.id)
    assert await two.a.read(providers.find_provider, DEFAULT_USER, mine.id) == mine


async def test_of_two_with_one_name_one_is_made(two: Stores) -> None:
    """Also when both are made at once, in two processes."""
    made = [provider(number, name="same") for number in range(6)]
    writes = (db.write(providers.insert_provider, each) for db, each in zip(two.both * 3, made, strict=True))
    done = await asyncio.gather(*writes, return_exceptions=True)
    assert sum(isinstance(each, Conflict) for each in done) == 5
    assert len(await two.a.read(providers.list_providers, DEFAULT_USER)) == 1


async def test_they_are_only_so_many(two: Stores) -> None:
    for number in range(PROVIDERS_MAX):
        await two.a.write(providers.insert_provider, provider(number))
    with pytest.raises(Conflict, match=str(PROVIDERS_MAX)):
        await two.a.write(providers.insert_provider, provider(PROVIDERS_MAX))
    listed = await two.a.read(providers.list_providers, DEFAULT_USER)
    assert [each.name for each in listed] == [f"mine-{number}" for number in range(PROVIDERS_MAX)]
