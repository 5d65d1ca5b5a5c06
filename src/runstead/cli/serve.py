"""`runstead serve`: settings from the command line and the environment, and one server or several."""

from __future__ import annotations

import gc
from argparse import Namespace
from importlib import import_module
from typing import cast

from runstead.errors import Invalid
from runstead.settings import from_environment

PORT_MAX = 65535


def run(given: Namespace) -> int:
    """Serve until told to stop. Raises `CannotStart` or `Invalid` with the reason."""
    settings = from_environment(
        host=given.host,
        port=given.port,
        data_dir=given.data_dir,
        # A folder that was typed means the database in it, whatever the environment says.
        database_url=None if given.data_dir is None else "",
        role=given.role,
        processes=given.processes,
        log_level=given.log_level,
    )
    if not 0 <= settings.port <= PORT_MAX:
        raise Invalid(f"The port must be between 0 and {PORT_MAX}, not {settings.port}.")
    # Who only watches others loads nothing of a server.
    if settings.processes > 1:
        return cast("int", import_module("runstead.cli.processes").supervise(settings))
    # What is loaded now is for good: the collector need not look through it again and again. It begins when all is there.
    gc.disable()
    try:
        return cast("int", import_module("runstead.cli.server").serve_alone(settings))
    finally:
        gc.enable()
