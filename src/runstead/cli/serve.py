"""`runstead serve`: settings from the command line and the environment, a server, and what it says when it is ready."""

from __future__ import annotations

from argparse import Namespace

from runstead.app import Server, serve
from runstead.cli.banner import greeting, offer
from runstead.errors import Invalid
from runstead.settings import from_environment
from runstead.store import keys

PORT_MAX = 65535


def run(given: Namespace) -> int:
    """Serve until told to stop. Raises `CannotStart` or `Invalid` with the reason."""
    settings = from_environment(
        host=given.host,
        port=given.port,
        data_dir=given.data_dir,
        # A folder that was typed means the database in it, whatever the environment says.
        database_url=None if given.data_dir is None else "",
        log_level=given.log_level,
    )
    if not 0 <= settings.port <= PORT_MAX:
        raise Invalid(f"The port must be between 0 and {PORT_MAX}, not {settings.port}.")
    return serve(settings, _announce)


async def _announce(server: Server) -> None:
    services = server.services
    closed = await services.db.read(keys.any_keys)
    print(greeting(services.settings, keys=closed), flush=True)
    print(offer(services.settings, await services.gateway.models()), flush=True)
