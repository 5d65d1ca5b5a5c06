"""Logs: structured, one line an event, with the run's id where there is one, and never with a secret in them.

`log(name)` is cheap and may be called at import; nothing is printed but through `configure`, which a server calls once. What
libraries log by Python's own `logging` comes out the same way. A secret is hidden twice: by the name of a value, and by
what it looks like or is known to be, wherever it stands, in the text of an error too.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable, MutableMapping
from typing import Any, cast

import structlog

_SECRET_WORDS = ("authorization", "api_key", "password", "secret", "token_value")
HIDDEN = "…"
# Keys of providers and our own, whatever stands after "Bearer", and a URL's password.
_SECRET_SHAPES = re.compile(
    r"\b(?:rs|sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_\-]{8,}|\bAIza[\w\-]{10,}|(?<=[Bb]earer )[^\s'\"]+|(?<=://)[^/@\s]+(?=@)"
)
# Shorter ones would hide what is no secret.
KNOWN_CHARS_MIN = 6


def log(name: str) -> structlog.typing.FilteringBoundLogger:
    """The logger of one part."""
    return cast("structlog.typing.FilteringBoundLogger", structlog.get_logger(part=name))


def configure(level: str, *, as_json: bool, secrets: Iterable[str] = ()) -> None:
    """Write logs from `level` on to standard error, for people or as JSON lines. `secrets` never stand in them.

    Raises `ValueError` for an unknown level.
    """
    number = logging.getLevelNamesMapping().get(level.upper())
    if number is None:
        raise ValueError(f"There is no log level {level!r}; use DEBUG, INFO, WARNING or ERROR.")
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        # Errors are plain text by then: a traceback with the values of its variables would show secrets.
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            Hiding(secrets),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    root = logging.getLogger()
    root.handlers = [each for each in root.handlers if not isinstance(each, FromLibraries)]
    root.addHandler(FromLibraries(max(number, logging.WARNING)))


class Hiding:
    """Puts an ellipsis in the place of every secret, however deep it stands: by its name, its looks, or its value."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        known = sorted({each for each in secrets if len(each) >= KNOWN_CHARS_MIN}, key=len, reverse=True)
        self._known = re.compile("|".join(map(re.escape, known))) if known else None

    def __call__(
        self, _logger: object, _method: str, event: MutableMapping[str, Any]
    ) -> MutableMapping[str, Any]:
        """An event with nothing secret in it."""
        for key, value in event.items():
            event[key] = self._named(key, value)
        return event

    def text(self, text: str) -> str:
        """A text with nothing secret in it."""
        if self._known is not None:
            text = self._known.sub(HIDDEN, text)
        return _SECRET_SHAPES.sub(HIDDEN, text)

    def _named(self, name: object, value: object) -> object:
        if any(word in str(name).lower() for word in _SECRET_WORDS):
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            inner = cast("dict[object, object]", value)
            return {key: self._named(key, each) for key, each in inner.items()}
        if isinstance(value, list | tuple):
            return [self._named("", each) for each in cast("list[object]", value)]
        return value if value is None or isinstance(value, bool | int | float) else self.text(str(value))


class FromLibraries(logging.Handler):
    """Takes what is logged by Python's own `logging` into ours."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line, with the library's name."""
        log(record.name).log(record.levelno, record.getMessage(), exc_info=record.exc_info)
