"""An identity: whom of an application's own people or organizations agents and blocks are for. Nothing follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from runstead.ids import IdentityId, UserId


@dataclass(frozen=True, slots=True)
class Identity:
    """An identity. `identifier_key` is the application's own name for it, once an actor; `properties` are kept as given."""

    id: IdentityId
    user_id: UserId
    identifier_key: str
    name: str
    identity_type: str
    created_at: datetime
    updated_at: datetime
    properties: tuple[Mapping[str, object], ...] = ()
    project_id: str | None = None
    block_ids: tuple[str, ...] = ()
