"""Organizations and users. A user is deleted by a mark, never by removing its row: what it made still names it.

Administration reads everyone here; no other query of the store does.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, bindparam, delete, exists, insert, select, update

from runstead.domain.actor import Organization, User
from runstead.errors import Conflict
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, OrganizationId, UserId
from runstead.store.codec import from_us, to_us
from runstead.store.locks import hold
from runstead.store.pages import Page, paged
from runstead.store.schema import organizations, users

DEFAULT_ORGANIZATION_NAME = "default_org"
DEFAULT_USER_NAME = "default_user"

_FIND_USER = select(users).where(users.c.id == bindparam("user_id"), users.c.is_deleted.is_(False))
_FIND_ORGANIZATION = select(organizations).where(organizations.c.id == bindparam("organization_id"))

_ORGANIZATION_ALONE = (
    select(organizations.c.id).where(organizations.c.id == bindparam("organization_id")).with_for_update()
)


def ensure_defaults(conn: Connection, now: datetime) -> None:
    """Make the default organization and user where they are not there yet."""
    hold(conn, "runstead:defaults")
    if find_organization(conn, DEFAULT_ORGANIZATION) is None:
        organization = Organization(DEFAULT_ORGANIZATION, DEFAULT_ORGANIZATION_NAME, now)
        insert_organization(conn, organization)
    known = conn.scalar(select(users.c.id).where(users.c.id == DEFAULT_USER))
    if known is None:
        insert_user(conn, User(DEFAULT_USER, DEFAULT_ORGANIZATION, DEFAULT_USER_NAME, now, now))


def insert_organization(conn: Connection, organization: Organization) -> None:
    """Store a new organization."""
    conn.execute(
        insert(organizations).values(
            id=organization.id,
            name=organization.name,
            created_at=to_us(organization.created_at),
            privileged_tools=organization.privileged_tools,
        )
    )


def find_organization(conn: Connection, organization_id: str) -> Organization | None:
    """One organization."""
    row = conn.execute(_FIND_ORGANIZATION, {"organization_id": organization_id}).first()
    return None if row is None else _organization(row)


def list_organizations(conn: Connection, page: Page) -> list[Organization]:
    """A page of all organizations. Raises `NotFound` for an unknown cursor."""
    everyone = organizations.c.id.is_not(None)
    rows = paged(conn, select(organizations), organizations, everyone, page)
    return [_organization(row) for row in rows]


def update_organization(conn: Connection, organization: Organization) -> None:
    """Write an organization's name and rights."""
    conn.execute(
        update(organizations)
        .where(organizations.c.id == organization.id)
        .values(name=organization.name, privileged_tools=organization.privileged_tools)
    )


def delete_organization(conn: Connection, organization_id: OrganizationId) -> None:
    """Delete an organization. Raises `Conflict` while it has users, deleted ones included."""
    # Who adds a user to it waits, or is seen here.
    conn.execute(_ORGANIZATION_ALONE, {"organization_id": organization_id})
    if conn.scalar(select(exists().where(users.c.organization_id == organization_id))):
        raise Conflict(f"Organization {organization_id} has users, or had some whose work is kept; it stays.")
    conn.execute(delete(organizations).where(organizations.c.id == organization_id))


def insert_user(conn: Connection, user: User) -> None:
    """Store a new user."""
    conn.execute(
        insert(users).values(
            id=user.id,
            organization_id=user.organization_id,
            name=user.name,
            created_at=to_us(user.created_at),
            updated_at=to_us(user.updated_at),
            is_deleted=user.is_deleted,
        )
    )


def find_user(conn: Connection, user_id: str) -> User | None:
    """One user who is not deleted."""
    row = conn.execute(_FIND_USER, {"user_id": user_id}).first()
    return None if row is None else _user(row)


def list_users(conn: Connection, page: Page) -> list[User]:
    """A page of all users who are not deleted. Raises `NotFound` for an unknown cursor."""
    living = users.c.is_deleted.is_(False)
    return [_user(row) for row in paged(conn, select(users).where(living), users, living, page)]


def update_user(conn: Connection, user: User) -> None:
    """Write a user's name, organization and whether it is deleted."""
    conn.execute(
        update(users)
        .where(users.c.id == user.id)
        .values(
            name=user.name,
            organization_id=user.organization_id,
            updated_at=to_us(user.updated_at),
            is_deleted=user.is_deleted,
        )
    )


def _organization(row: Row[Any]) -> Organization:
    return Organization(
        id=OrganizationId(row.id),
        name=row.name,
        created_at=from_us(int(row.created_at)),
        privileged_tools=row.privileged_tools,
    )


def _user(row: Row[Any]) -> User:
    return User(
        id=UserId(row.id),
        organization_id=OrganizationId(row.organization_id),
        name=row.name,
        created_at=from_us(int(row.created_at)),
        updated_at=from_us(int(row.updated_at)),
        is_deleted=row.is_deleted,
    )
