"""Errors as answers: every one is JSON with a `detail`, and none shows a traceback, a secret or another's data.

Validation errors are listed as FastAPI does, but what was sent is echoed only where it is short and not a document: a
rejected body may hold keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from runstead.api.router import Json
from runstead.errors import ModelError, PendingApproval, RunsteadError

INPUT_ECHOED_CHARS = 200
ERRORS_LISTED_MAX = 50
_SECRET_WORDS = ("secret", "password", "key", "token", "environment_variables", "authorization")
NOT_SAID_TO_BE_JSON = "The body was not read: send JSON, with the header Content-Type: application/json."
UNEXPECTED = {"detail": "An internal server error occurred"}


def problem(error: RunsteadError) -> Response:
    """The answer that tells of an error."""
    response = Json(problem_body(error), error.status)
    if error.retry_after_s is not None:
        response.headers["Retry-After"] = str(error.retry_after_s)
    if error.status == HTTPStatus.UNAUTHORIZED and not isinstance(error, ModelError):
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def problem_body(error: RunsteadError) -> Mapping[str, object]:
    """What an error's answer says."""
    if isinstance(error, PendingApproval):
        return {"detail": {"code": error.code, "message": error.detail, **error.extra}}
    if isinstance(error, ModelError):
        told = {"type": error.kind.value, "message": error.detail, "detail": error.cause or None}
        return {"detail": error.detail, "error": told}
    return {"detail": error.detail, **error.extra}


def install_problems(app: FastAPI) -> None:
    """Let the application answer its errors so."""
    app.add_exception_handler(RunsteadError, _on_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)


async def _on_error(_request: Request, error: Exception) -> Response:
    return problem(cast("RunsteadError", error))


async def _on_http(_request: Request, error: Exception) -> Response:
    """Unknown routes and methods: the framework's own errors."""
    http = cast("HTTPException", error)
    response = Json({"detail": http.detail}, http.status_code)
    response.headers.update(http.headers or {})
    return response


async def _on_invalid(_request: Request, error: Exception) -> Response:
    listed = cast("RequestValidationError", error).errors()[:ERRORS_LISTED_MAX]
    return Json({"detail": [_told(each) for each in listed]}, HTTPStatus.UNPROCESSABLE_ENTITY)


def _told(error: Mapping[str, object]) -> Mapping[str, object]:
    place = [_place(part) for part in cast("Sequence[object]", error["loc"])]
    told: dict[str, object] = {
        "type": error["type"],
        "loc": place,
        "msg": _readable(str(error["msg"])),
    }
    value = error.get("input")
    if isinstance(value, bytes):  # the framework hands over as it came what was not said to be JSON
        told["msg"] = NOT_SAID_TO_BE_JSON
    words = " ".join(str(part) for part in place).lower()
    short = not isinstance(value, str) or len(value) <= INPUT_ECHOED_CHARS
    if isinstance(value, str | int | float | None) and short and not any(w in words for w in _SECRET_WORDS):
        told["input"] = _readable(value) if isinstance(value, str) else value
    return told


def _place(part: object) -> str | int:
    return part if isinstance(part, int) else _readable(str(part))[:INPUT_ECHOED_CHARS]


def _readable(text: str) -> str:
    """Text that can be written as UTF-8, whatever was sent."""
    return text.encode("utf-8", "replace").decode("utf-8")
