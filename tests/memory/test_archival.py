"""One order of several: what stands high in more of them comes first."""

from __future__ import annotations

from tests.store.rows import NOW

from runstead.domain.archive import Passage
from runstead.ids import DEFAULT_USER, ArchiveId, PassageId
from runstead.memory.archival import ArchivalMemory, fused
from runstead.store.passages import FoundPassage


def order(names: str) -> list[FoundPassage]:
    """Passages in that order, with scores that mean nothing elsewhere."""
    return [
        FoundPassage(
            Passage(PassageId(name), DEFAULT_USER, ArchiveId("archive-1"), name, NOW, NOW), 100.0 - number
        )
        for number, name in enumerate(names)
    ]


def names(found: list[FoundPassage]) -> str:
    """The passages in their order."""
    return "".join(each.passage.id for each in found)


def test_what_both_find_comes_first() -> None:
    """Second in both is better than first in one; each passage comes once, the best score first."""
    found = fused([order("abc"), order("xby")], 10)

    assert names(found)[0] == "b"
    assert sorted(names(found)) == list("abcxy")
    scores = [each.score for each in found]
    assert scores == sorted(scores, reverse=True)
    assert names(fused([order("abc"), order("xby")], 2)) == "b" + "a"


def test_one_empty_order_changes_nothing() -> None:
    """As where no word is found, and only meaning speaks."""
    assert names(fused([[], order("abc")], 10)) == "abc"


def test_names_that_leave_the_choice_mean_the_servers_model() -> None:
    """Without one there is none, and nobody is asked."""
    assert ArchivalMemory().model("openai/text-embedding-3-small") is None
    assert ArchivalMemory(default="letta/letta-free").default is None
