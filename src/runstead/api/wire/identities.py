"""Identities as JSON, and what clients write of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.agent_requests import Name, Names
from runstead.api.wire.documents import Document
from runstead.api.wire.paging import PageQuery
from runstead.domain.identity import Identity
from runstead.ids import IdentityId, UserId
from runstead.store.identities import IdentityFilter

PROPERTIES_MAX = 1000
IdentityType = Literal["org", "user", "other"]


class Property(BaseModel):
    """Something that is known of an identity."""

    key: Name
    value: str | int | float | bool | Document
    type: Literal["string", "number", "boolean", "json"]


Properties = Annotated[list[Property], Field(max_length=PROPERTIES_MAX)]


class PropertyState(TypedDict):
    """Something that is known of an identity."""

    key: str
    value: str | int | float | bool | dict[str, object]
    type: str


class IdentityState(TypedDict):
    """An identity."""

    id: str
    identifier_key: str
    name: str
    identity_type: str
    project_id: str | None
    agent_ids: list[str]
    block_ids: list[str]
    organization_id: str | None
    properties: list[PropertyState]


class IdentityQuery(PageQuery):
    """Which identities shall be listed."""

    name: str | None = None
    project_id: str | None = None
    identifier_key: str | None = None
    identity_type: IdentityType | None = None
    order_by: Literal["created_at"] = "created_at"

    def filter(self) -> IdentityFilter:
        """The store's filter."""
        return IdentityFilter(self.name, self.project_id, self.identifier_key, self.identity_type)


class IdentityBlockQuery(PageQuery):
    """How many blocks of an identity shall be listed; they stand in the order in which they were given."""

    order_by: Literal["created_at"] = "created_at"


class CreateIdentity(BaseModel):
    """A new identity; or, where its key is known, what that one shall be."""

    identifier_key: Name
    name: Name
    identity_type: IdentityType
    project_id: str | None = None
    agent_ids: Names | None = None
    block_ids: Names | None = None
    properties: Properties | None = None


class UpdateIdentity(BaseModel):
    """What shall change of an identity."""

    identifier_key: Name | None = None
    name: Name | None = None
    identity_type: IdentityType | None = None
    agent_ids: Names | None = None
    block_ids: Names | None = None
    properties: Properties | None = None


def new_identity(body: CreateIdentity, identity_id: IdentityId, user_id: UserId, now: datetime) -> Identity:
    """The identity that a request comes to."""
    return Identity(
        id=identity_id,
        user_id=user_id,
        identifier_key=body.identifier_key,
        name=body.name,
        identity_type=body.identity_type,
        created_at=now,
        updated_at=now,
        properties=_properties(body.properties or ()),
        project_id=body.project_id,
        block_ids=tuple(dict.fromkeys(body.block_ids or ())),
    )


def changed_identity(before: Identity, body: CreateIdentity | UpdateIdentity, now: datetime) -> Identity:
    """The identity as a request wants it."""
    changes: dict[str, Any] = {
        name: value
        for name in ("identifier_key", "name", "identity_type")
        if (value := getattr(body, name)) is not None
    }
    if body.properties is not None:
        changes["properties"] = _properties(body.properties)
    if body.block_ids is not None:
        changes["block_ids"] = tuple(dict.fromkeys(body.block_ids))
    return replace(before, updated_at=now, **changes)


def with_properties(before: Identity, given: Sequence[Property], now: datetime) -> Identity:
    """The identity with these properties; others that it has stay."""
    named = {str(each["key"]): each for each in (*before.properties, *_properties(given))}
    return replace(before, updated_at=now, properties=tuple(named.values()))


def identity_state(identity: Identity, agent_ids: Sequence[str], organization_id: str) -> IdentityState:
    """An identity as it is answered."""
    properties: Any = [dict(each) for each in identity.properties]
    return {
        "id": identity.id,
        "identifier_key": identity.identifier_key,
        "name": identity.name,
        "identity_type": identity.identity_type,
        "project_id": identity.project_id,
        "agent_ids": list(agent_ids),
        "block_ids": list(identity.block_ids),
        "organization_id": organization_id,
        "properties": properties,
    }


def _properties(given: Sequence[Property]) -> tuple[dict[str, object], ...]:
    return tuple(each.model_dump() for each in given)
