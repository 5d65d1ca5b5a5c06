"""Who calls: an organization's user, and the key or password that lets a caller act as one. Pure data."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from runstead.ids import KeyId, OrganizationId, UserId


@dataclass(frozen=True, slots=True)
class Organization:
    """A group of users."""

    id: OrganizationId
    name: str
    created_at: datetime
    privileged_tools: bool = False


@dataclass(frozen=True, slots=True)
class User:
    """One actor: everything that is made belongs to a user."""

    id: UserId
    organization_id: OrganizationId
    name: str
    created_at: datetime
    updated_at: datetime
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored: its SHA-256 only. `hint` is the part of it that may be shown."""

    id: KeyId
    user_id: UserId
    name: str
    hint: str
    digest: str
    admin: bool
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Principal:
    """On whose behalf a request acts, and whether it may act for others and administer."""

    user: User
    admin: bool
