"""The types of providers that an actor can bring: how each is asked, and where it is if nobody says. Data, and one reading.

A type that is known to the API and missing here needs another kind of credentials than a key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from runstead.errors import Invalid, NotImplementedHere


@dataclass(frozen=True, slots=True)
class ProviderType:
    """`kind` as in `settings.ProviderSettings`; without a `base_url` the actor must say one.

    `v1`: a server of one's own, whose address is often given without the /v1 under which it is asked. `check_path` is asked
    beside the list of models where that list is everybody's and so tells nothing of the key.
    """

    kind: str
    base_url: str | None = None
    v1: bool = False
    check_path: str | None = None


TYPES: Mapping[str, ProviderType] = {
    "openai": ProviderType("openai", "https://api.openai.com/v1"),
    "anthropic": ProviderType("anthropic", "https://api.anthropic.com"),
    "google_ai": ProviderType("google", "https://generativelanguage.googleapis.com"),
    "openrouter": ProviderType("chat", "https://openrouter.ai/api/v1", check_path="/key"),
    "groq": ProviderType("chat", "https://api.groq.com/openai/v1"),
    "deepseek": ProviderType("chat", "https://api.deepseek.com/v1"),
    "mistral": ProviderType("chat", "https://api.mistral.ai/v1"),
    "together": ProviderType("chat", "https://api.together.xyz/v1"),
    "cerebras": ProviderType("chat", "https://api.cerebras.ai/v1"),
    "fireworks": ProviderType("chat", "https://api.fireworks.ai/inference/v1"),
    "baseten": ProviderType("chat", "https://inference.baseten.co/v1"),
    "hugging-face": ProviderType("chat", "https://router.huggingface.co/v1"),
    "minimax": ProviderType("chat", "https://api.minimax.io/v1"),
    "xai": ProviderType("chat", "https://api.x.ai/v1"),
    "zai": ProviderType("chat", "https://api.z.ai/api/paas/v4"),
    "zai_coding": ProviderType("chat", "https://api.z.ai/api/coding/paas/v4"),
    "azure": ProviderType("chat"),
    "ollama": ProviderType("chat", v1=True),
    "vllm": ProviderType("chat", v1=True),
    "sglang": ProviderType("chat", v1=True),
    "lmstudio_openai": ProviderType("chat", v1=True),
}


@dataclass(frozen=True, slots=True)
class Way:
    """How a provider is reached: the protocol, the base URL, and what else is asked to check a key."""

    kind: str
    base_url: str
    check_path: str | None = None


def way_to(provider_type: str, base_url: str | None) -> Way:
    """How a provider of this type is asked at this address, or at its own where none is given.

    Raises `NotImplementedHere` for a type that is not offered, `Invalid` where an address must be given.
    """
    known = TYPES.get(provider_type)
    if known is None:
        raise NotImplementedHere(
            f"Providers of the type {provider_type} are not offered by this server, for a key is not enough for them."
            " Every server that speaks Chat Completions is of the type openai, with its base_url."
        )
    address = (base_url or known.base_url or "").rstrip("/")
    if not address:
        raise Invalid(f"A provider of the type {provider_type} has no address of its own; give its base_url.")
    if known.v1 and not address.endswith("/v1"):
        address += "/v1"
    # Another server under OpenAI's name speaks Chat Completions, as it does where the environment names it.
    elsewhere = known.kind == "openai" and address != known.base_url
    return Way("chat" if elsewhere else known.kind, address, known.check_path)
