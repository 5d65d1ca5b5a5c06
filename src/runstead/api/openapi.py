"""The OpenAPI document, made when somebody asks for it, so that a server's start does not pay for it.

Operations' answers come from `@answers`, and the headers that every route reads are added here. Each operation is listed
once, under /v1, as the API spells it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import BaseModel, TypeAdapter

from runstead.api.auth import principal
from runstead.api.router import answer_of
from runstead.api.wire.paging import query_model

Document = dict[str, Any]
_REF = "#/components/schemas/{model}"
_PROBLEM = "Problem"
# What FastAPI answers where a parameter or a body does not fit; it defines it, because bodies need it.
_REFUSED = "HTTPValidationError"
_PROBLEM_SCHEMA: Document = {
    "title": "Problem",
    "type": "object",
    "description": "Why a request was not carried out.",
    "properties": {"detail": {"title": "Detail"}},
    "required": ["detail"],
}
_HEADERS: Mapping[str, str] = {
    "user_id": "The user on whose behalf to act; the key's own where it is absent.",
    "User-Agent": "A 1.0 SDK is answered agents without their relations, unless it asks for them.",
    "X-Project": "Taken and not used: there are no projects here.",
    "X-Project-Id": "Taken and not used: there are no projects here.",
}


def describe(app: FastAPI) -> Document:
    """The document of an application."""
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    schemas, definitions = _answer_schemas(routes)
    components = document.setdefault("components", {}).setdefault("schemas", {})
    components |= {_PROBLEM: _PROBLEM_SCHEMA, **definitions}
    for route in routes:
        for method in sorted(route.methods or ()):
            operation = document["paths"][route.path_format][method.lower()]
            components |= _ask(operation, route)
            _complete(operation, route, schemas.get(route.unique_id))
    return document


def _answer_schemas(routes: Sequence[APIRoute]) -> tuple[Mapping[str, Document], Document]:
    """The schema of each route's answer by the route's id, and the definitions that they refer to."""
    adapters: list[tuple[str, Any, TypeAdapter[Any]]] = []
    for route in routes:
        answer = answer_of(route.endpoint)
        if answer is not None:
            adapters.append((route.unique_id, "serialization", TypeAdapter(cast("Any", answer))))
    by_key, whole = TypeAdapter.json_schemas(adapters, ref_template=_REF)
    return {key: schema for (key, _), schema in by_key.items()}, whole.get("$defs", {})


def _ask(operation: Document, route: APIRoute) -> Document:
    """Tell what is asked by a model in the query; gives the definitions that this refers to."""
    definitions: Document = {}
    for dependency in route.dependant.dependencies:
        if (model := query_model(dependency.call)) is not None:
            parameters, shared = _query_parameters(model)
            definitions |= shared
            operation.setdefault("parameters", []).extend(parameters)
            refers = {"schema": {"$ref": _REF.format(model=_REFUSED)}}
            refused = {"description": "Validation Error", "content": {"application/json": refers}}
            operation.setdefault("responses", {}).setdefault("422", refused)
    return definitions


def _complete(operation: Document, route: APIRoute, answer: Document | None) -> None:
    responses = operation.setdefault("responses", {})
    if answer is not None:
        responses["200"] = {
            "description": "Successful Response",
            "content": {"application/json": {"schema": answer}},
        }
    refers = {"schema": {"$ref": _REF.format(model=_PROBLEM)}}
    responses["default"] = {"description": "Problem", "content": {"application/json": refers}}
    parameters = operation.setdefault("parameters", [])
    if any(each.call is principal for each in route.dependant.dependencies):
        parameters.extend(
            {
                "name": name,
                "in": "header",
                "required": False,
                "description": description,
                "schema": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            }
            for name, description in _HEADERS.items()
        )
    if not parameters:
        del operation["parameters"]


def _query_parameters(model: type[BaseModel]) -> tuple[list[Document], Document]:
    """A model's fields as query parameters, and the definitions that they refer to."""
    whole = model.model_json_schema(ref_template=_REF)
    required = whole.get("required", [])
    parameters = [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in whole["properties"].items()
    ]
    return parameters, whole.get("$defs", {})
