"""Ports for servers that tests start: below those that the system gives to connections, so that none is taken meanwhile."""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on; two workers of the suite do not choose alike."""
    chance = random.Random(os.urandom(8))
    while True:
        port = chance.randint(FIRST, LAST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
