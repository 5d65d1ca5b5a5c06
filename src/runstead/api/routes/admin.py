"""Users and organizations, for those who administer the server. Keys are made by the command line only."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import Depends, Query, Request, Response

from runstead.api.auth import Access, Caller, Parts, access_of
from runstead.api.router import Json, answers, v1_router
from runstead.api.services import Services
from runstead.api.wire.actors import (
    UUID4_PATTERN,
    OrganizationState,
    OrganizationWrite,
    UserCreate,
    UserState,
    UserUpdate,
    organization_state,
    user_state,
)
from runstead.api.wire.paging import Limit
from runstead.domain.actor import Organization, User
from runstead.errors import Conflict, Forbidden, NotFound
from runstead.ids import DEFAULT_ORGANIZATION, DEFAULT_USER, OrganizationId, UserId
from runstead.store import actors
from runstead.store.pages import Page

DEFAULT_NAME = "organization"


async def administers(caller: Caller) -> None:
    """Raises `Forbidden` for those who may not."""
    if not caller.admin:
        raise Forbidden("This takes an admin key: `runstead keys create NAME --admin`.")


async def _access(request: Request) -> Access:
    return access_of(request)


router = v1_router("admin")
router.dependencies.append(Depends(administers))
UserQuery = Annotated[UserId, Query(pattern=f"^user-{UUID4_PATTERN}$")]
Believes = Annotated[Access, Depends(_access)]


@router.get("/admin/users/")
@answers(list[UserState])
async def list_users(parts: Parts, after: str | None = None, limit: Limit = 50) -> Response:
    """List users, oldest first."""
    page = Page(limit=limit, ascending=True, after=after)
    return Json([user_state(user) for user in await parts.db.read(actors.list_users, page)])


@router.post("/admin/users/")
@answers(UserState)
async def create_user(body: UserCreate, parts: Parts, access: Believes) -> Response:
    """Make a user."""
    organization = await _organization(parts, body.organization_id)
    now = parts.clock.now()
    user = User(UserId(f"user-{parts.ids.uuid()}"), organization.id, body.name, now, now)
    await parts.db.write(actors.insert_user, user)
    access.forget()
    return Json(user_state(user))


@router.put("/admin/users/")
@answers(UserState)
async def update_user(body: UserUpdate, parts: Parts, access: Believes) -> Response:
    """Change a user's name or organization."""
    user = await _user(parts, body.id)
    if body.organization_id is not None:
        organization = await _organization(parts, body.organization_id)
        user = replace(user, organization_id=organization.id)
    user = replace(user, name=body.name or user.name, updated_at=parts.clock.now())
    await parts.db.write(actors.update_user, user)
    access.forget()
    return Json(user_state(user))


@router.delete("/admin/users/")
@answers(UserState)
async def delete_user(user_id: UserQuery, parts: Parts, access: Believes) -> Response:
    """Delete a user: its keys end, what it made stays where it is."""
    user = await _user(parts, user_id)
    if user.id == DEFAULT_USER:
        raise Conflict("The default user stays: requests that name no user are its.")
    user = replace(user, is_deleted=True, updated_at=parts.clock.now())
    await parts.db.write(actors.update_user, user)
    access.forget()
    return Json(user_state(user))


@router.get("/admin/orgs/")
@answers(list[OrganizationState])
async def list_orgs(parts: Parts, after: str | None = None, limit: Limit = 50) -> Response:
    """List organizations, oldest first."""
    page = Page(limit=limit, ascending=True, after=after)
    found = await parts.db.read(actors.list_organizations, page)
    return Json([organization_state(organization) for organization in found])


@router.post("/admin/orgs/")
@answers(OrganizationState)
async def create_organization(body: OrganizationWrite, parts: Parts, access: Believes) -> Response:
    """Make an organization."""
    organization = Organization(
        OrganizationId(f"org-{parts.ids.uuid()}"),
        body.name or DEFAULT_NAME,
        parts.clock.now(),
        privileged_tools=bool(body.privileged_tools),
    )
    await parts.db.write(actors.insert_organization, organization)
    access.forget()
    return Json(organization_state(organization))


@router.patch("/admin/orgs/")
@answers(OrganizationState)
async def update_organization(
    org_id: str, body: OrganizationWrite, parts: Parts, access: Believes
) -> Response:
    """Change an organization's name or rights."""
    organization = await _organization(parts, org_id)
    if body.name is not None:
        organization = replace(organization, name=body.name)
    if body.privileged_tools is not None:
        organization = replace(organization, privileged_tools=body.privileged_tools)
    await parts.db.write(actors.update_organization, organization)
    access.forget()
    return Json(organization_state(organization))


@router.delete("/admin/orgs/")
@answers(OrganizationState)
async def delete_organization_by_id(org_id: str, parts: Parts, access: Believes) -> Response:
    """Delete an organization without users."""
    organization = await _organization(parts, org_id)
    if organization.id == DEFAULT_ORGANIZATION:
        raise Conflict("The default organization stays: the default user is in it.")
    await parts.db.write(actors.delete_organization, organization.id)
    access.forget()
    return Json(organization_state(organization))


async def _user(parts: Services, user_id: str) -> User:
    user = await parts.db.read(actors.find_user, user_id)
    if user is None:
        raise NotFound(f"There is no user {user_id[:100]}.")
    return user


async def _organization(parts: Services, organization_id: str) -> Organization:
    organization = await parts.db.read(actors.find_organization, organization_id)
    if organization is None:
        raise NotFound(f"There is no organization {organization_id[:100]}.")
    return organization
