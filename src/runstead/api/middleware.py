"""The outermost layer of the API: what holds for every request before any route is looked for.

It lets `/latest` stand for `/v1`, refuses bodies over the limit before they are in memory, and turns what nobody expected
into a plain 500 with the traceback in the log. Who still waits when a server that stops has no time left is told to come
again, where the HTTP server would say 500. It knows nothing of any route.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runstead.api.problems import UNEXPECTED, problem
from runstead.api.router import Json
from runstead.errors import OutcomeUnknown, TooLarge
from runstead.telemetry import log

_LATEST = "/latest/"
_DIGITS_MAX = 20
_log = log("api")


class Edge:
    """ASGI middleware. `body_bytes_max` bounds every request's body; `stopping` says whether the server takes no more."""

    def __init__(
        self, app: ASGIApp, body_bytes_max: int, stopping: Callable[[], bool] = lambda: False
    ) -> None:
        self._app = app
        self._body_bytes_max = body_bytes_max
        self._stopping = stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        if path.startswith(_LATEST):
            scope["path"] = "/v1/" + path.removeprefix(_LATEST)
        exchange = _Exchange(receive, send, self._body_bytes_max)
        if exchange.too_large(_declared_bytes(scope)):
            await problem(_refusal(self._body_bytes_max))(scope, receive, send)
            return
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if exchange.started or not self._stopping():
                raise
            _log.warning("request was cut off", method=scope["method"], path=path)
            await problem(_cut_off())(scope, receive, send)
        except Exception:  # the end of the request: a 500 where nothing was sent yet, else a broken body
            _log.exception("request failed", method=scope["method"], path=path)
            if exchange.started:
                raise
            await Json(UNEXPECTED, HTTPStatus.INTERNAL_SERVER_ERROR)(scope, receive, send)


class _Exchange:
    """One request's channels, counted."""

    def __init__(self, receive: Receive, send: Send, body_bytes_max: int) -> None:
        self._receive = receive
        self._send = send
        self._max = body_bytes_max
        self._read_bytes = 0
        self.started = False

    def too_large(self, body_bytes: int) -> bool:
        return body_bytes > self._max

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._read_bytes += len(message.get("body", b""))
            if self.too_large(self._read_bytes):
                # The framework lets only this exception out of the reading of a body.
                raise HTTPException(TooLarge.status, _refusal(self._max).detail)
        return message

    async def send(self, message: Message) -> None:
        self.started = True
        await self._send(message)


def _cut_off() -> OutcomeUnknown:
    return OutcomeUnknown(
        "The server stopped while it did this, and it may be done or not: look before you send it again."
    )


def _refusal(body_bytes_max: int) -> TooLarge:
    return TooLarge(f"The body is larger than {body_bytes_max} bytes (RUNSTEAD_BODY_BYTES_MAX).")


def _declared_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value[:_DIGITS_MAX]) if value.isdigit() else 0
    return 0
