"""Rows and what they mean: times as integers, documents as JSON text. No queries here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, TypeVar, cast, overload

import orjson

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


@overload
def to_us(at: datetime) -> int: ...
@overload
def to_us(at: None) -> None: ...
def to_us(at: datetime | None) -> int | None:
    """Microseconds since 1970 of a time of day."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


@overload
def from_us(us: int) -> datetime: ...
@overload
def from_us(us: None) -> None: ...
def from_us(us: int | None) -> datetime | None:
    """The time of day of so many microseconds since 1970."""
    return None if us is None else _EPOCH + timedelta(microseconds=us)


def maybe_from_us(us: int | None) -> datetime | None:
    """The time of day of so many microseconds since 1970, where there is one."""
    return None if us is None else from_us(us)


def pack(document: Mapping[str, object]) -> str:
    """JSON text of a document whose values are plain."""
    return orjson.dumps(document).decode()


def unpack(text: str) -> dict[str, Any]:
    """The document that `pack` made."""
    return cast("dict[str, Any]", orjson.loads(text))


def built(kind: type[T], members: Mapping[str, Any], **more: object) -> T:
    """An object of a dataclass from what a document holds of it, and `more`.

    Members that the class does not have are left out: a newer release, which serves beside this one for a while, says more.
    """
    known = _names(kind)
    return kind(**{name: value for name, value in members.items() if name in known}, **more)


@cache
def _names(kind: type[Any]) -> frozenset[str]:
    return frozenset(field.name for field in fields(kind))
