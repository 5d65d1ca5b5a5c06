"""Free-form JSON in requests: taken as it is, as long as it can be stored and answered again."""

from __future__ import annotations

from typing import Annotated

import orjson
from pydantic import AfterValidator

DOCUMENT_BYTES_MAX = 8 * 1024 * 1024


def storable(document: dict[str, object]) -> dict[str, object]:
    """The document itself. Raises `ValueError` where it cannot be kept as JSON."""
    try:
        size = len(orjson.dumps(document))
    except TypeError:
        raise ValueError("it is nested too deeply, or holds what JSON cannot say") from None
    if size > DOCUMENT_BYTES_MAX:
        raise ValueError(f"it has {size} bytes as JSON; at most {DOCUMENT_BYTES_MAX} are kept")
    return document


Document = Annotated[dict[str, object], AfterValidator(storable)]
