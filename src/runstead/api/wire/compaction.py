"""How a client says how its conversations are to be summarised. What is kept and answered is what it sent."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from runstead.api.wire.documents import Document
from runstead.domain.compaction import MODES


class _Settings(BaseModel):
    """What is acted on; everything else may be there."""

    model_config = ConfigDict(extra="allow", strict=True)

    mode: Annotated[str, Field(pattern=f"^({'|'.join(sorted(MODES))})$")] = "sliding_window"
    model: str | None = None
    prompt: Annotated[str, Field(max_length=50_000)] | None = None
    clip_chars: Annotated[int, Field(ge=1)] | None = None
    sliding_window_percentage: Annotated[float, Field(ge=0, le=1)] = 0.3


def _fits(document: dict[str, object]) -> dict[str, object]:
    try:
        _Settings.model_validate(document)
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        raise ValueError(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    return document


CompactionDocument = Annotated[Document, AfterValidator(_fits)]
