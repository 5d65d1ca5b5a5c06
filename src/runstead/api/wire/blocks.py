"""Memory blocks as JSON, in the union of both generations' fields. Fields without a meaning here are kept and answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from runstead.api.wire.documents import Document
from runstead.domain.agent import DEFAULT_BLOCK_LIMIT_CHARS, Block
from runstead.errors import Unprocessable
from runstead.ids import BlockId, UserId

BLOCK_LIMIT_CHARS_MAX = 100_000_000
TAG_CHARS_MAX = 500
TAGS_MAX = 1000
Label = Annotated[str, Field(min_length=1, max_length=500)]
Limit = Annotated[int, Field(ge=0, le=BLOCK_LIMIT_CHARS_MAX)]
Tags = Annotated[list[Annotated[str, Field(max_length=TAG_CHARS_MAX)]], Field(max_length=TAGS_MAX)]

_KEPT = (
    "project_id",
    "template_id",
    "base_template_id",
    "deployment_id",
    "entity_id",
    "preserve_on_migration",
)


class _BlockFields(BaseModel):
    description: str | None = None
    read_only: bool = False
    is_template: bool = False
    name: str | None = None
    template_name: str | None = None
    hidden: bool | None = None
    metadata: Document | None = None
    tags: Tags | None = None
    project_id: str | None = None
    template_id: str | None = None
    base_template_id: str | None = None
    deployment_id: str | None = None
    entity_id: str | None = None
    preserve_on_migration: bool | None = None


class CreateBlock(_BlockFields):
    """A block to be made."""

    label: Label
    value: str
    limit: Limit = DEFAULT_BLOCK_LIMIT_CHARS


class BlockUpdate(_BlockFields):
    """What of a block shall be changed: the fields that are given."""

    label: Label | None = None
    value: str | None = None
    limit: Limit | None = None


class BlockState(TypedDict):
    """A memory block."""

    id: str
    label: str | None
    value: str
    limit: int
    description: str | None
    read_only: bool
    metadata: dict[str, object] | None
    tags: list[str] | None
    name: str | None
    template_name: str | None
    is_template: bool
    hidden: bool | None
    project_id: str | None
    template_id: str | None
    base_template_id: str | None
    deployment_id: str | None
    entity_id: str | None
    preserve_on_migration: bool | None
    created_by_id: str | None
    last_updated_by_id: str | None


def new_block(body: CreateBlock, block_id: BlockId, user_id: UserId, now: datetime) -> Block:
    """The block that a request describes. Raises `Unprocessable` where the value is over the limit."""
    kept = _kept(body)
    block = Block(
        id=block_id,
        user_id=user_id,
        label=body.label,
        value=body.value,
        created_at=now,
        updated_at=now,
        limit_chars=body.limit,
        description=body.description,
        read_only=body.read_only,
        is_template=body.is_template,
        name=body.name if body.name is not None else body.template_name,
        hidden=body.hidden,
        tags=tuple(dict.fromkeys(body.tags or ())),
        metadata=body.metadata or {},
        extra=kept,
    )
    return checked(block)


def changed_block(block: Block, body: BlockUpdate, now: datetime) -> Block:
    """The block as a request wants it. Raises `Unprocessable` where the value is over the limit."""
    given = body.model_fields_set
    changes: dict[str, object] = {}
    for name in ("label", "value", "read_only", "is_template"):
        if name in given and getattr(body, name) is not None:
            changes[name] = getattr(body, name)
    for name in ("description", "hidden"):
        if name in given:
            changes[name] = getattr(body, name)
    if body.limit is not None:
        changes["limit_chars"] = body.limit
    for name in ("name", "template_name"):
        if name in given:
            changes["name"] = getattr(body, name)
    if "metadata" in given:
        changes["metadata"] = body.metadata or {}
    if body.tags is not None:
        changes["tags"] = tuple(dict.fromkeys(body.tags))
    changes["extra"] = {**block.extra, **_kept(body)}
    return checked(replace(block, updated_at=now, **changes))


def checked(block: Block) -> Block:
    """The block itself. Raises `Unprocessable` where its value is over its limit."""
    if len(block.value) > block.limit_chars:
        raise Unprocessable(
            f"Block '{block.label}' has {len(block.value)} characters; its limit is {block.limit_chars}."
        )
    return block


def block_state(block: Block) -> BlockState:
    """A block as it is answered."""
    extra = block.extra
    return {
        "id": block.id,
        "label": block.label,
        "value": block.value,
        "limit": block.limit_chars,
        "description": block.description,
        "read_only": block.read_only,
        "metadata": dict(block.metadata),
        "tags": list(block.tags),
        "name": block.name,
        "template_name": block.name,
        "is_template": block.is_template,
        "hidden": block.hidden,
        "project_id": _text(extra, "project_id"),
        "template_id": _text(extra, "template_id"),
        "base_template_id": _text(extra, "base_template_id"),
        "deployment_id": _text(extra, "deployment_id"),
        "entity_id": _text(extra, "entity_id"),
        "preserve_on_migration": bool(extra.get("preserve_on_migration", False)),
        "created_by_id": block.user_id,
        "last_updated_by_id": block.user_id,
    }


def _kept(body: BaseModel) -> dict[str, object]:
    return {name: getattr(body, name) for name in _KEPT if name in body.model_fields_set}


def _text(extra: Mapping[str, object], name: str) -> str | None:
    value = extra.get(name)
    return value if isinstance(value, str) else None
