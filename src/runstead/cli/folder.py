"""The data folder that a command of this machine works on: which it is, and that it is there."""

from __future__ import annotations

from argparse import Namespace

from runstead.errors import CannotStart
from runstead.settings import Settings, from_environment


def settings_of(given: Namespace, *, host: str | None = None, port: int | None = None) -> Settings:
    """The server's settings as this command line and the environment have them."""
    # A folder that was typed means the database in it, whatever the environment says.
    database_url = None if given.data_dir is None else ""
    return from_environment(data_dir=given.data_dir, database_url=database_url, host=host, port=port)


def make_folder(settings: Settings) -> None:
    """Make the data folder where it is not there yet. Raises `CannotStart`."""
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CannotStart(
            f"The data folder {settings.data_dir} cannot be made ({error.strerror}); choose another with --data-dir."
        ) from error
