"""Organizations and users in the store."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import Connection
from tests.store.rows import NOW

from runstead.domain.actor import Organization, User
from runstead.errors import Conflict
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, OrganizationId, UserId
from runstead.store import actors
from runstead.store.pages import Page

ORG = Organization(OrganizationId("org-1"), "o", NOW)


def test_the_defaults_are_made_once(conn: Connection) -> None:
    actors.ensure_defaults(conn, NOW)
    user = actors.find_user(conn, DEFAULT_USER)
    assert user is not None
    assert (user.name, user.organization_id) == ("default_user", DEFAULT_ORGANIZATION)
    actors.update_user(conn, replace(user, name="renamed"))
    actors.ensure_defaults(conn, NOW)
    assert [each.name for each in actors.list_users(conn, Page())] == ["renamed"]


def test_a_deleted_user_is_not_found_and_not_made_again(conn: Connection) -> None:
    user = User(UserId("user-1"), DEFAULT_ORGANIZATION, "u", NOW, NOW)
    actors.insert_user(conn, user)
    assert actors.find_user(conn, user.id) == user
    actors.update_user(conn, replace(user, is_deleted=True))
    assert actors.find_user(conn, user.id) is None
    assert user.id not in [each.id for each in actors.list_users(conn, Page())]


def test_an_organization_goes_when_nobody_was_in_it(conn: Connection) -> None:
    actors.insert_organization(conn, ORG)
    actors.update_organization(conn, replace(ORG, name="p", privileged_tools=True))
    assert actors.find_organization(conn, ORG.id) == replace(ORG, name="p", privileged_tools=True)
    actors.insert_user(conn, User(UserId("user-1"), ORG.id, "u", NOW, NOW, is_deleted=True))
    with pytest.raises(Conflict):
        actors.delete_organization(conn, ORG.id)
    empty = replace(ORG, id=OrganizationId("org-2"))
    actors.insert_organization(conn, empty)
    actors.delete_organization(conn, empty.id)
    assert actors.find_organization(conn, empty.id) is None
    assert len(actors.list_organizations(conn, Page())) == 2
