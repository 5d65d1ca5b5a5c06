"""Tables that fit: what may be cut gives way, what one copies does not."""

from __future__ import annotations

from runstead.cli.drawing import fitted, shortened


def test_what_fits_is_left_alone() -> None:
    """Each column is as wide as its widest cell."""
    assert fitted([[2, 5], [3, 1]], set(), 2, 80) == [5, 3]


def test_the_widest_give_way() -> None:
    """Never those that must stay whole, even where it does not fit then."""
    assert fitted([[40], [16], [10]], {0}, 1, 60) == [40, 9, 9]
    assert fitted([[40], [16], [10]], {0}, 1, 20) == [40, 3, 3]
    assert fitted([[40], [50]], {0, 1}, 1, 20) == [40, 50]


def test_ids_are_short_where_there_is_little_room() -> None:
    """Only those of runs, and only where each still is one run's."""
    rows = [["run-11112222-3333", "x"], ["run-11119999-3333", "y"]]
    assert shortened(rows, 80) == [["run-11112222", "x"], ["run-11119999", "y"]]
    assert shortened(rows, 200) == rows
    assert shortened([*rows, ["run-11112222-4444", "z"]], 80)[0][0] == "run-11112222-3333"
    assert shortened([["agent-11112222-3333"]], 80) == [["agent-11112222-3333"]]
