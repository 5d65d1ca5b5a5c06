"""How lists are asked for."""

from __future__ import annotations

from runstead.api.wire.paging import PageQuery, asked, query_model
from runstead.store.pages import Page


def test_a_query_is_a_page() -> None:
    assert PageQuery().page() == Page(limit=50, ascending=False)
    query = PageQuery(limit=3, order="asc", after="a", before="b")
    assert query.page("updated_at") == Page(3, True, "a", "b", "updated_at")


def test_the_document_finds_the_model_of_a_dependency() -> None:
    assert query_model(asked(PageQuery).dependency) is PageQuery
    assert query_model(test_a_query_is_a_page) is None
    assert query_model(None) is None
