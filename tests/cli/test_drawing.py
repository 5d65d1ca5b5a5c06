"""Tables that fit: what may be cut gives way, what one copies does not."""

from __future__ import annotations

from runstead.cli.drawing import fitted


def test_what_fits_is_left_alone() -> None:
    """Each column is as wide as its widest cell."""
    assert fitted([[2, 5], [3, 1]], set(), 2, 80) == [5, 3]


def test_the_widest_give_way() -> None:
    """Never those that must stay whole, even where it does not fit then."""
    assert fitted([[40], [16], [10]], {0}, 1, 60) == [40, 9, 9]
    assert fitted([[40], [16], [10]], {0}, 1, 20) == [40, 3, 3]
    assert fitted([[40], [50]], {0, 1}, 1, 20) == [40, 50]
