"""How routes are declared and answered: under /v1, with or without a closing slash, JSON in and JSON out by orjson.

A route's answer type stands beside it in `@answers(...)`, for the OpenAPI document only: an answer is written as it was
built, never validated or copied on its way out. Routes never build a `Response` of JSON themselves but by `Json`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import orjson
from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute

from runstead.api.auth import principal

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])
_ANSWERS: dict[Callable[..., object], object] = {}


class Json(Response):
    """A JSON answer. Times are written with microseconds and `Z`."""

    media_type = "application/json"

    def __init__(self, content: object, status_code: int = 200) -> None:
        super().__init__(orjson.dumps(content, option=orjson.OPT_UTC_Z), status_code)


class JsonRequest(Request):
    """A request whose body is read by orjson, which refuses what no store can keep: lone surrogates and endless numbers."""

    async def json(self) -> Any:
        """The body; raises `json.JSONDecodeError` where it is not JSON."""
        return orjson.loads(await self.body())


class Route(APIRoute):
    """A route that answers with and without a closing slash."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        self.path_regex = re.compile(self.path_regex.pattern.removesuffix("$").removesuffix("/") + "/?$")

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a request that reads JSON by orjson."""
        handler = super().get_route_handler()
        if self.body_field is None:
            return handler

        async def read_by_orjson(request: Request) -> Response:
            return await handler(JsonRequest(request.scope, request.receive))

        return read_by_orjson


def v1_router(tag: str, *, open_to_all: bool = False) -> APIRouter:
    """A router under /v1 whose every route asks who calls, unless it is `open_to_all`."""
    return APIRouter(
        prefix="/v1",
        tags=[tag],
        route_class=Route,
        dependencies=[] if open_to_all else [Depends(principal)],
        default_response_class=Json,
    )


def answers(answer: object) -> Callable[[Endpoint], Endpoint]:
    """Say what type an operation answers, for the OpenAPI document."""

    def note(endpoint: Endpoint) -> Endpoint:
        _ANSWERS[endpoint] = answer
        return endpoint

    return note


def answer_of(endpoint: Callable[..., object]) -> object | None:
    """The type that an operation said it answers."""
    return _ANSWERS.get(endpoint)
