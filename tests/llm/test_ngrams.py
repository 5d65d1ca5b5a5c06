"""The embedding that ships: the same for the same, near for what is spelled alike, and honest about the rest."""

from __future__ import annotations

from math import fsum

import pytest

from runstead.llm import ngrams


def likeness(one: str, other: str) -> float:
    """1 for the same direction, 0 for nothing in common."""
    return fsum(a * b for a, b in zip(ngrams.embed(one), ngrams.embed(other)))


def test_what_is_spelled_alike_lies_near() -> None:
    """Other endings, typing errors, letter case; not what only means the same."""
    assert likeness("The cat sleeps", "the CAT sleeps") == pytest.approx(1.0)
    assert likeness("gardening", "gardeners") > 0.4 > likeness("gardening", "horticulture")
    assert likeness("Barcelona", "Barcelna") > 0.5
    assert likeness("東京都に住む", "東京都") > 0.3 > likeness("東京都に住む", "大阪")


@pytest.mark.parametrize("text", ["", "…!", "a", "word " * 2000])
def test_every_text_has_a_direction(text: str) -> None:
    """Of length 1, also where there is nothing to count."""
    assert fsum(x * x for x in ngrams.embed(text)) == pytest.approx(1.0)
    assert len(ngrams.embed(text)) == ngrams.INFO.dimensions
