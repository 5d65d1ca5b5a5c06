"""One server in this process, and what it says when it is ready."""

from __future__ import annotations

import gc

from runstead.app import Server, serve
from runstead.cli.banner import greeting, offer, one_of_several
from runstead.errors import Unavailable
from runstead.settings import Settings
from runstead.store import keys


def serve_alone(settings: Settings) -> int:
    """Serve until told to stop; gives the exit code. Raises `CannotStart` with the reason."""
    return serve(settings, announce)


def _let_collect() -> None:
    """Take what was made until now out of the collector's sight: it stays, and a look through it takes 50 ms."""
    gc.freeze()
    gc.enable()


async def announce(server: Server) -> None:
    """It is ready: the collector may begin. Say where it listens and what it offers, on standard output."""
    _let_collect()
    services = server.services
    if services.settings.supervisor_pid:
        print(one_of_several(services.settings), flush=True)
        return
    try:
        closed = await services.db.read(keys.any_keys)
    except Unavailable:  # it was lost just now: what waits for it can, and a greeting ends no server
        closed = None
    print(greeting(services.settings, keys=closed), flush=True)
    print(offer(services.settings, await services.gateway.models()), flush=True)
