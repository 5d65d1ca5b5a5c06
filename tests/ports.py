"""Ports for servers that tests start: below those that the system gives to connections, so that none is taken meanwhile.

Each worker of the suite has some of its own, and gives none twice: between the choice of a port and its server nobody else
may take it, nor while a server that was killed is to come back to it.
"""

from __future__ import annotations

import os
import random
import socket

FIRST, LAST = 20_000, 32_000
# Workers of one suite; with more of them the ranges are shared again.
WORKERS = 8

_given: set[int] = set()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on, and that was not given before."""
    chance = random.Random(os.urandom(8))
    while True:
        port = chance.choice(_range())
        if port in _given:
            continue
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _given.add(port)
        return port


def _range() -> range:
    """The ports of this worker."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    size = (LAST - FIRST) // WORKERS
    return range(FIRST + worker * size, FIRST + (worker + 1) * size)
