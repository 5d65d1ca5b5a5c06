"""Free-form JSON in requests."""

from __future__ import annotations

import pytest

from runstead.api.wire.documents import DOCUMENT_BYTES_MAX, storable


def test_what_can_be_stored_is_taken_as_it_is() -> None:
    document: dict[str, object] = {"a": [1, {"b": None}]}
    assert storable(document) is document


def test_what_cannot_is_refused() -> None:
    deep: object = 1
    for _ in range(400):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        storable({"a": deep})
    with pytest.raises(ValueError, match="at most"):
        storable({"a": "x" * DOCUMENT_BYTES_MAX})
