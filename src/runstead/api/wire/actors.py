"""Users and organizations as JSON. Requests are strict, as in the API: an unknown field is an error."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import TypedDict

from runstead.domain.actor import Organization, User
from runstead.ids import UserId

Name = Annotated[str, Field(max_length=500)]
UUID4_PATTERN = "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"


class UserCreate(BaseModel):
    """A user to be made."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    organization_id: str


class UserUpdate(BaseModel):
    """What of a user shall be changed."""

    model_config = ConfigDict(extra="forbid")

    id: Annotated[UserId, Field(pattern=f"^user-{UUID4_PATTERN}$")]
    name: Name | None = None
    organization_id: str | None = None


class OrganizationWrite(BaseModel):
    """An organization to be made, or what of one shall be changed."""

    model_config = ConfigDict(extra="forbid")

    name: Name | None = None
    privileged_tools: bool | None = None


class UserState(TypedDict):
    """A user."""

    id: str
    name: str
    organization_id: str | None
    created_at: datetime | None
    updated_at: datetime | None
    is_deleted: bool


class OrganizationState(TypedDict):
    """An organization."""

    id: str
    name: str
    created_at: datetime | None
    privileged_tools: bool


def user_state(user: User) -> UserState:
    """A user as it is answered."""
    return {
        "id": user.id,
        "name": user.name,
        "organization_id": user.organization_id,
        "created_at": user.created_at,
        "updated_at": user.updated_at,
        "is_deleted": user.is_deleted,
    }


def organization_state(organization: Organization) -> OrganizationState:
    """An organization as it is answered."""
    return {
        "id": organization.id,
        "name": organization.name,
        "created_at": organization.created_at,
        "privileged_tools": organization.privileged_tools,
    }
