"""How lists are asked for: the query parameters that all of them share, and the page of the store that they come to."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from runstead.store.pages import LIMIT_MAX, Page

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
