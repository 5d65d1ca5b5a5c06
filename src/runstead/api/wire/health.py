"""How the server is, as JSON."""

from __future__ import annotations

from typing_extensions import TypedDict


class Health(TypedDict):
    """The server's version and state."""

    version: str
    status: str
