"""The tags on an actor's agents."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Response

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.wire.paging import PageQuery, asked
from runstead.store import agents

router = v1_router("tags")


class TagQuery(PageQuery):
    """Which tags shall be listed; `before` and `after` are tags. Words are looked for letter case aside."""

    order: Literal["asc", "desc"] = "asc"
    order_by: Literal["name"] = "name"
    query_text: str | None = None
    name: str | None = None

    def cut(self, tags: list[str]) -> list[str]:
        """The page of all tags, which are in alphabetical order."""
        ascending = self.order == "asc"
        words = (self.query_text or self.name or "").lower()
        left = [tag for tag in tags if words in tag.lower()]
        for cursor, follows in ((self.after, ascending), (self.before, not ascending)):
            if cursor is not None:
                left = [tag for tag in left if (tag > cursor if follows else tag < cursor)]
        left = left if ascending else left[::-1]
        if self.before is not None and self.after is None:
            return left[-self.limit :]
        return left[: self.limit]


@router.get("/tags/")
@answers(list[str])
async def list_tags(query: Annotated[TagQuery, asked(TagQuery)], caller: Caller, parts: Parts) -> Response:
    """List the tags on agents, in alphabetical order unless asked otherwise."""
    return Json(query.cut(await parts.db.read(agents.list_tags, caller.user.id)))
