"""Logs: structured, one line an event, bound to a run's id where there is one, and never with a secret in them.

`log(name)` is cheap and may be called at import; nothing is printed but through `configure`, which a server calls once.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

_SECRET_WORDS = ("authorization", "api_key", "password", "secret", "token_value")
HIDDEN = "…"


def log(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(part=name))


def configure(level: str, *, as_json: bool) -> None:
    """Write logs from `level` on to standard error, for people or as JSON lines.

    Raises `ValueError` for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"There is no log level {level!r}; use DEBUG, INFO, WARNING or ERROR.")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # A traceback with the values of its variables would show secrets.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    processors: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        hide_secrets,
    ]
    if as_json:
        processors.append(structlog.processors.format_exc_info)
    structlog.configure(
        processors=[*processors, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Put an ellipsis in the place of every value whose name says that it is secret."""
    for key in event:
        if any(word in key.lower() for word in _SECRET_WORDS):
            event[key] = HIDDEN
    return event
