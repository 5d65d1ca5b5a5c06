"""The fixtures of the tests from outside, by name."""

from __future__ import annotations

from tests.outside import agent, client, folder, mark, model, server

__all__ = ["agent", "client", "folder", "mark", "model", "server"]
