"""A look into documents from a query. A document is text on every database; PostgreSQL must be told that it is JSON."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, Cast, Column, ColumnElement
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler


class _AsJson(Cast[Any]):
    """The text as JSON; SQLite reads the text itself, and its CAST would make a number of it."""

    inherit_cache = True


@compiles(_AsJson, "sqlite")
def _text(element: _AsJson, compiler: SQLCompiler, **kw: Any) -> str:
    return compiler.process(element.clause, **kw)


def member(document: Column[str], name: str) -> ColumnElement[str]:
    """A member of a document, as text; NULL where there is none."""
    return _AsJson(document, JSON)[name].as_string()


def extra(document: Column[str], name: str) -> ColumnElement[str]:
    """A member of a document's `extra`, as text; NULL where there is none. A list is its compact JSON."""
    return _AsJson(document, JSON)["extra", name].as_string()
