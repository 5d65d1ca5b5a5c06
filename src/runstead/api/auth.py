"""Who calls: from a request's headers to a `Principal`, without asking the database on every request.

Open only while there is neither a key nor a password and only this machine can reach the server; then everyone who names
this machine as such is the default user. What was looked up is believed for `BELIEVED_S`, so a key that another process
revokes ends within that time.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar, cast

from fastapi import Depends, Request
from starlette.datastructures import Headers

from runstead.api.services import Services
from runstead.domain.actor import ApiKey, Principal, User
from runstead.errors import Forbidden, Invalid, NotFound, Unauthenticated
from runstead.ids import DEFAULT_USER, UserId, has_shape
from runstead.settings import LOOPBACK
from runstead.store import actors, keys

BELIEVED_S = 2.0
TOUCH_S = 60.0
CACHED_MAX = 10_000
_NS = 1_000_000_000
T = TypeVar("T")
_SDK = re.compile(r"^(?:@letta-ai/)?letta-client/(\d+)\b")


@dataclass(frozen=True, slots=True)
class _Holder:
    """Whom a credential stands for."""

    user_id: UserId
    admin: bool


@dataclass(slots=True)
class _Known(Generic[T]):
    """A fact and the monotonic time until which it is believed."""

    value: T
    until_ns: int


class Access:
    """The credentials and users of one server, remembered for a moment."""

    def __init__(self, services: Services) -> None:
        self._db = services.db
        self._clock = services.clock
        self._on_loopback = services.settings.on_loopback
        self._origins = services.settings.origins
        password = services.settings.server_password
        self._password = None if password is None else keys.digest_of(password.reveal())
        self._users: dict[str, _Known[User]] = {}
        self._keys: dict[str, _Known[ApiKey | None]] = {}
        self._any_keys: _Known[bool] | None = None

    async def principal(self, headers: Headers) -> Principal:
        """On whose behalf a request with these headers acts.

        Raises `Unauthenticated`, `Forbidden` where the key may not act for the named user, `Invalid` where the name is
        no user id, and `NotFound` where there is no such user.
        """
        holder = await self._holder(headers)
        named = headers.get("user_id")
        if named is None or named == holder.user_id:
            try:
                return Principal(await self._user(holder.user_id), holder.admin)
            except NotFound:
                raise Unauthenticated("The user whose key this is was deleted.") from None
        if not has_shape(named, "user"):
            raise Invalid(
                f"INVALID_ARGUMENT: Invalid user ID format: {named[:64]}. Expected format: 'user-<uuid4>'"
            )
        if not holder.admin:
            raise Forbidden("This key acts for its own user only; leave the user_id header out.")
        return Principal(await self._user(named), holder.admin)

    def forget(self) -> None:
        """Believe nothing any more: actors or keys were changed."""
        self._users.clear()
        self._keys.clear()
        self._any_keys = None

    async def _holder(self, headers: Headers) -> _Holder:
        secret = _secret(headers)
        if self._password is None and not await self._there_are_keys():
            if self._on_loopback:
                check_host(headers.get("host"))
                check_origin(headers.get("origin"), self._origins)
                return _Holder(DEFAULT_USER, admin=True)
            raise Unauthenticated(
                "This server has neither a key nor a password; make a key with `runstead keys create`."
            )
        if secret is None:
            raise Unauthenticated
        digest = keys.digest_of(secret)
        if self._password is not None and hmac.compare_digest(digest, self._password):
            return _Holder(DEFAULT_USER, admin=True)
        key = await self._key(digest)
        if key is None:
            raise Unauthenticated("This key is unknown or revoked.")
        return _Holder(key.user_id, key.admin)

    async def _there_are_keys(self) -> bool:
        now = self._clock.monotonic_ns()
        known = self._any_keys
        if known is None or known.until_ns <= now:
            known = _Known(await self._db.read(keys.any_keys), now + int(BELIEVED_S * _NS))
            self._any_keys = known
        return known.value

    async def _key(self, digest: str) -> ApiKey | None:
        now = self._clock.monotonic_ns()
        known = self._keys.get(digest)
        if known is not None and known.until_ns > now:
            return known.value
        key = await self._db.read(keys.find_key, digest)
        if key is not None:
            at = self._clock.now()
            if key.last_used_at is None or (at - key.last_used_at).total_seconds() > TOUCH_S:
                await self._db.write(keys.touch_key, key.id, at)
        _bound(self._keys)
        self._keys[digest] = _Known(key, now + int(BELIEVED_S * _NS))
        return key

    async def _user(self, user_id: str) -> User:
        now = self._clock.monotonic_ns()
        known = self._users.get(user_id)
        if known is not None and known.until_ns > now:
            return known.value
        user = await self._db.read(actors.find_user, user_id)
        if user is None:
            raise NotFound(f"There is no user {user_id}.")
        _bound(self._users)
        self._users[user_id] = _Known(user, now + int(BELIEVED_S * _NS))
        return user


def check_host(host: str | None) -> None:
    """Raises `Forbidden` where an open server is asked under a strange name.

    A web page that lets its own name point to this machine could otherwise drive the server from the browser of whoever
    looks at it; and a proxy in front would open it to everyone.
    """
    if host is None:
        return
    if not _is_here(host):
        name = _name(host)
        raise Forbidden(
            f"This server is open to this machine only, but was asked as {name[:100]!r}. "
            "Ask it as localhost, or make a key with `runstead keys create`."
        )


def check_origin(origin: str | None, allowed: Collection[str]) -> None:
    """Raises `Forbidden` where a page of another site asks an open server.

    A browser sends some requests without asking whether it may. Pages of this machine may, and those of named sites;
    "any site" (`*`) names none.
    """
    if origin is None or origin.lower() in allowed or _is_here(origin.partition("://")[2]):
        return
    raise Forbidden(
        f"A page of {origin[:100]!r} asks a server that has no key. Make one with `runstead keys create`, or name the site"
        " in RUNSTEAD_CORS_ORIGINS."
    )


def _is_here(host: str) -> bool:
    """Whether a host, maybe with a port, is a name of this machine that no other machine has."""
    name = _name(host).strip("[]").lower()
    return name in LOOPBACK or name.endswith(".localhost")


def _name(host: str) -> str:
    return host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host


def _bound(known: dict[str, _Known[T]]) -> None:
    """Keep a memory from growing for ever: made-up keys cost no more than a cleared cache."""
    if len(known) >= CACHED_MAX:
        known.clear()


def _secret(headers: Headers) -> str | None:
    """The key or password in the headers, in either of the two spellings of the API."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    word, _, secret = headers.get("x-bare-password", "").partition(" ")
    return secret if word == "password" and secret else None


def services_of(request: Request) -> Services:
    """The parts that `create_api` was given."""
    return cast("Services", request.app.state.services)


def access_of(request: Request) -> Access:
    """The server's `Access`."""
    return cast("Access", request.app.state.access)


async def principal(request: Request) -> Principal:
    """On whose behalf the request acts; see `Access.principal`."""
    return await access_of(request).principal(request.headers)


async def _services(request: Request) -> Services:
    return services_of(request)


async def _sdk1(request: Request) -> bool:
    return is_sdk1(request.headers)


def is_sdk1(headers: Headers) -> bool:
    """Whether a 1.0 SDK calls: it is answered agents without their relations, unless it asks (api-runs.md section 12)."""
    if "x-stainless-package-version" in headers:
        return True
    agent = headers.get("user-agent")
    if agent is None:
        return True
    match = _SDK.match(agent)
    return match is not None and int(match[1]) >= 1


Caller = Annotated[Principal, Depends(principal)]
Parts = Annotated[Services, Depends(_services)]
Sdk1 = Annotated[bool, Depends(_sdk1)]
