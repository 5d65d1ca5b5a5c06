"""How talking to an MCP server fails, in words for the model and for clients. They hold no secret."""

from __future__ import annotations


class McpFailure(Exception):
    """The server did not do what it was asked; the text says why."""


class McpNotSent(McpFailure):
    """The server certainly did not see the request: asking it again does no harm."""


class McpLost(McpFailure):
    """The connection ended while the server had the request: what it did is unknown."""
