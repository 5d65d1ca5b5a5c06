"""`runstead openapi`: the API's own description, as `GET /openapi.json` answers it. Starts no server."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import orjson

from runstead.app import build
from runstead.settings import Settings
from runstead.store.migrate import migrate


def run(given: Namespace) -> int:
    """Write the document."""
    text = asyncio.run(document())
    if given.out is None:
        sys.stdout.write(text)
    else:
        Path(given.out).write_text(text, encoding="utf-8")
    return 0


async def document() -> str:
    """The document as indented JSON, with a line break at its end."""
    with tempfile.TemporaryDirectory() as folder:
        settings = replace(Settings(), data_dir=Path(folder))
        await asyncio.to_thread(migrate, settings.database)
        server = build(settings)
        try:
            described = server.api.openapi()
        finally:
            await server.services.log.close()
            await server.services.gateway.close()
            await server.services.db.close()
    return orjson.dumps(described, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE).decode()
