"""One server in this process, and what it says when it is ready."""

from __future__ import annotations

from runstead.app import Server, serve
from runstead.cli.banner import greeting, offer, one_of_several
from runstead.settings import Settings
from runstead.store import keys


def serve_alone(settings: Settings) -> int:
    """Serve until told to stop; gives the exit code. Raises `CannotStart` with the reason."""
    return serve(settings, _announce)


async def _announce(server: Server) -> None:
    services = server.services
    if services.settings.supervisor_pid:
        print(one_of_several(services.settings), flush=True)
        return
    closed = await services.db.read(keys.any_keys)
    print(greeting(services.settings, keys=closed), flush=True)
    print(offer(services.settings, await services.gateway.models()), flush=True)
