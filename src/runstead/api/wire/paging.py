"""How lists are asked for: query parameters as one model, and the page of the store that they come to.

`asked(Model)` reads a request's query into a model in one go. FastAPI's own way looks every parameter up by itself, which
costs more than the database does; the document is told of the parameters by `query_model`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeVar, cast

from fastapi import Depends, Request
from fastapi.exceptions import RequestValidationError
from pydantic import AfterValidator, BaseModel, Field, ValidationError

from runstead.store.pages import LIMIT_MAX, Page

Query = TypeVar("Query", bound=BaseModel)
_MODELS: dict[Callable[..., object], type[BaseModel]] = {}
# A time of a client; one without a zone is UTC.
Moment = Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))]
Limit = Annotated[int, Field(ge=1, le=LIMIT_MAX)]


class PageQuery(BaseModel):
    """A page of a list. `after` and `before` are ids of items of it, in the order of the list."""

    before: str | None = None
    after: str | None = None
    limit: Limit = 50
    order: Literal["asc", "desc"] = "desc"

    def page(self, order_by: str = "created_at") -> Page:
        """The store's page."""
        return Page(
            limit=self.limit,
            ascending=self.order == "asc",
            after=self.after,
            before=self.before,
            order_by=order_by,
        )


def asked(model: type[Query]) -> Any:
    """The dependency that reads a request's query into a model; it stands in the `Annotated` of a parameter."""
    lists = _list_fields(model)

    async def read(request: Request) -> Query:
        given: dict[str, object] = {}
        for name, value in request.query_params.multi_items():
            if name in lists:
                cast("list[str]", given.setdefault(name, [])).append(value)
            else:
                given[name] = value
        try:
            return model.model_validate(given)
        except ValidationError as error:
            errors = [{**each, "loc": ("query", *each["loc"])} for each in error.errors()]
            raise RequestValidationError(errors) from None

    _MODELS[read] = model
    return Depends(read)


def query_model(dependency: Callable[..., Any] | None) -> type[BaseModel] | None:
    """The model that a dependency reads the query into."""
    return None if dependency is None else _MODELS.get(dependency)


def _list_fields(model: type[BaseModel]) -> frozenset[str]:
    """The parameters that may be given several times."""
    properties = cast("Mapping[str, Mapping[str, object]]", model.model_json_schema()["properties"])
    return frozenset(
        name
        for name, schema in properties.items()
        if any(kind.get("type") == "array" for kind in _kinds(schema))
    )


def _kinds(schema: Mapping[str, object]) -> list[Mapping[str, object]]:
    return [schema, *cast("list[Mapping[str, object]]", schema.get("anyOf", []))]
