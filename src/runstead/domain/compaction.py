"""How a conversation that outgrows its window is to be summarised, as its agent or one request says.

The settings are kept as the client sent them; here they become what is acted on. What an older release let pass, and what
makes no sense, counts as not given. Nothing is summarised here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from runstead.domain.agent import Agent
from runstead.domain.run import Run

KEEP_SHARE = 0.3
NAME = "compaction_settings"
# An agent's model is chosen by its owner: "whichever there is" is not a better one.
ANY_MODEL = "letta/auto"
EVERYTHING = frozenset({"all", "self_compact_all"})
BY_ITSELF = frozenset({"self_compact_all", "self_compact_sliding_window"})
MODES = EVERYTHING | BY_ITSELF | {"sliding_window"}


@dataclass(frozen=True, slots=True)
class CompactionSettings:
    """What a summary is made with.

    `model` is a handle, None the agent's own; `prompt` None the standard instruction. `keep_share` of the window, from 0 to
    1, is for the turns that stay; `everything`: none stays but the one that is under way.
    """

    model: str | None = None
    prompt: str | None = None
    keep_share: float = KEEP_SHARE
    everything: bool = False
    summary_chars_max: int | None = None


def compaction_settings(agent: Agent, run: Run) -> CompactionSettings:
    """The settings of the request where it brings its own, else those of the agent. Facts: the OpenAPI of the API."""
    given = run.request.compaction_settings
    if given is None:
        kept = agent.extra.get(NAME)
        given = cast("Mapping[str, object]", kept if isinstance(kept, Mapping) else {})
    mode, model, prompt = str(given.get("mode")), given.get("model"), given.get("prompt")
    share, clip = _number(given, "sliding_window_percentage"), _number(given, "clip_chars")
    own = mode in BY_ITSELF or model == ANY_MODEL
    return CompactionSettings(
        model=model if isinstance(model, str) and model and not own else None,
        prompt=prompt if isinstance(prompt, str) and prompt.strip() else None,
        keep_share=share if share is not None and 0 <= share <= 1 else KEEP_SHARE,
        everything=mode in EVERYTHING,
        summary_chars_max=int(clip) if clip is not None and clip >= 1 else None,
    )


def _number(given: Mapping[str, object], name: str) -> float | None:
    value = given.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
