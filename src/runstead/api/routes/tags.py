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
        # Within these, in the alphabet's order: the cursors of a list that descends change places.
        lowest, highest = (self.after, self.before) if ascending else (self.before, self.after)
        left = [tag for tag in tags if words in tag.lower() and _between(tag, lowest, highest)]
        left = left if ascending else left[::-1]
        if self.before is not None and self.after is None:
            return left[-self.limit :]
        return left[: self.limit]


def _between(tag: str, lowest: str | None, highest: str | None) -> bool:
    return (lowest is None or tag > lowest) and (highest is None or tag < highest)


@router.get("/tags/")
@answers(list[str])
async def list_tags(query: Annotated[TagQuery, asked(TagQuery)], caller: Caller, parts: Parts) -> Response:
    """List the tags on agents, in alphabetical order unless asked otherwise."""
    return Json(query.cut(await parts.db.read(agents.list_tags, caller.user.id)))
