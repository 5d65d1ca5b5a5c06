"""The models that can be asked: what the configured providers offer now, and the demonstration that ships."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Response
from pydantic import BaseModel

from runstead.api.auth import Caller, Parts
from runstead.api.router import Json, answers, v1_router
from runstead.api.wire.models import (
    EmbeddingModelState,
    ModelState,
    category_of,
    embedding_model_state,
    model_state,
    provider_type,
)
from runstead.api.wire.paging import asked
from runstead.llm.types import ModelInfo

router = v1_router("models")


class ModelQuery(BaseModel):
    """Which models shall be listed. `base` are the server's own, `byok` those of providers that the actor brought."""

    provider_category: list[Literal["base", "byok"]] | None = None
    provider_name: str | None = None
    provider_type: str | None = None

    def takes(self, info: ModelInfo) -> bool:
        """Whether a model is asked for."""
        if self.provider_category is not None and category_of(info) not in self.provider_category:
            return False
        if self.provider_name is not None and info.provider != self.provider_name:
            return False
        names = {info.own_type} if info.own_type else {info.provider, provider_type(info.provider)}
        return self.provider_type is None or self.provider_type in names


@router.get("/models/")
@answers(list[ModelState])
async def list_models(
    query: Annotated[ModelQuery, asked(ModelQuery)], caller: Caller, parts: Parts
) -> Response:
    """List the models that an agent can be given: the server's, and those of the actor's own providers."""
    found = [*await parts.own_providers.models(caller.user.id), *await parts.gateway.models()]
    return Json([model_state(info) for info in found if query.takes(info)])


@router.get("/models/embedding")
@answers(list[EmbeddingModelState])
async def list_embedding_models(parts: Parts) -> Response:
    """List the embedding models."""
    return Json([embedding_model_state(info) for info in await parts.gateway.embeddings()])
