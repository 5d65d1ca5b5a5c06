"""Providers of models that actors brought: their rows. Keys come sealed (`vault.py`) and go sealed.

Every query names the actor.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from runstead.domain.own_provider import PROVIDERS_MAX, ListedModel, OwnProvider
from runstead.errors import Conflict
from runstead.ids import ProviderId, UserId
from runstead.store.codec import from_us, maybe_from_us, pack, to_us, unpack
from runstead.store.locks import hold
from runstead.store.schema import providers as table


def insert_provider(conn: Connection, provider: OwnProvider) -> None:
    """Store a new provider. Raises `Conflict` where the actor has one of that name, or as many as there may be."""
    hold(conn, f"runstead:providers:{provider.user_id}")
    if find_by_name(conn, provider.user_id, provider.name) is not None:
        raise Conflict(
            f"There is a provider with the name {provider.name!r} already; change that one, or take another name."
        )
    mine = table.c.user_id == provider.user_id
    if (conn.scalar(select(func.count()).select_from(table).where(mine)) or 0) >= PROVIDERS_MAX:
        raise Conflict(f"There are {PROVIDERS_MAX} providers already, which is the most; delete one first.")
    conn.execute(insert(table).values(_row(provider)))


def find_provider(conn: Connection, user_id: UserId, provider_id: str) -> OwnProvider | None:
    """One provider of this actor."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.id == provider_id)).first()
    return None if row is None else _provider(row)


def find_by_name(conn: Connection, user_id: UserId, name: str) -> OwnProvider | None:
    """The provider that the actor calls so."""
    row = conn.execute(select(table).where(table.c.user_id == user_id, table.c.name == name)).first()
    return None if row is None else _provider(row)


def list_providers(conn: Connection, user_id: UserId) -> list[OwnProvider]:
    """All providers of an actor, oldest first; there are at most PROVIDERS_MAX."""
    query = select(table).where(table.c.user_id == user_id).order_by(table.c.created_at, table.c.id)
    return [_provider(row) for row in conn.execute(query)]


def change_provider(
    conn: Connection, user_id: UserId, provider_id: str, change: Callable[[OwnProvider], OwnProvider]
) -> OwnProvider | None:
    """Read, change and write one provider in one go; None where there is none. Its name and its owner stay."""
    hold(conn, f"runstead:providers:{user_id}")
    found = find_provider(conn, user_id, provider_id)
    if found is None:
        return None
    changed = change(found)
    mine = update(table).where(table.c.user_id == user_id, table.c.id == found.id)
    conn.execute(mine.values(_row(changed)))
    return changed


def delete_provider(conn: Connection, user_id: UserId, provider_id: str) -> bool:
    """Delete a provider, its key with it; False where there is none."""
    done = conn.execute(delete(table).where(table.c.user_id == user_id, table.c.id == provider_id))
    return done.rowcount > 0


def _row(provider: OwnProvider) -> dict[str, object]:
    document = {
        "region": provider.region,
        "api_version": provider.api_version,
        "models": [
            [each.name, each.context_window_tokens, each.output_tokens_max, each.images]
            for each in provider.models
        ],
    }
    return {
        "id": provider.id,
        "user_id": provider.user_id,
        "name": provider.name,
        "provider_type": provider.provider_type,
        "base_url": provider.base_url,
        "sealed_key": provider.sealed_key,
        "created_at": to_us(provider.created_at),
        "updated_at": to_us(provider.updated_at),
        "last_synced": to_us(provider.last_synced),
        "document": pack({name: value for name, value in document.items() if value}),
    }


def _provider(row: Row[Any]) -> OwnProvider:
    document = unpack(row.document)
    return OwnProvider(
        id=ProviderId(row.id),
        user_id=UserId(row.user_id),
        name=row.name,
        provider_type=row.provider_type,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        base_url=row.base_url,
        sealed_key=None if row.sealed_key is None else bytes(row.sealed_key),
        region=document.get("region"),
        api_version=document.get("api_version"),
        last_synced=maybe_from_us(row.last_synced),
        models=tuple(ListedModel(*each) for each in document.get("models", ())),
    )
