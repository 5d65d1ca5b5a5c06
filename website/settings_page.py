"""docs/settings.md, made from settings.py and the words beside it: `python -m website.settings_page > docs/settings.md`."""

from __future__ import annotations

import re
from dataclasses import MISSING, Field, fields

from runstead import settings
from runstead.settings import Settings
from website.setting_words import FOR_CLIENTS, WORDS

_HEAD = """# Settings

Made from `settings.py` by `python -m website.settings_page`; a test holds it current.

Every setting of a server is an environment variable. What is typed (`runstead serve --port …`) comes first, then the
environment, then the default. A value that cannot be read ends the start with a sentence that names the variable. A truth is
`1`, `true`, `yes` or `on`; anything else is none.
"""
_UNITS = {"_s": "seconds", "_mb": "MiB", "_bytes_max": "bytes", "_max": "number", "_size": "number"}
_WHOLE = {"int": "number", "bool": "truth", "Path": "folder", "float": "number"}
_SPOKEN = {"anthropic": "Messages", "google": "Gemini", "chat": "Chat Completions"}


def page() -> str:
    """The whole page."""
    by_name = {each.name: each for each in fields(Settings)}
    lines = [_HEAD]
    for group, words in WORDS.items():
        lines += [f"## {group}\n", "| variable | default | unit | meaning |", "|---|---|---|---|"]
        lines += [_row(by_name[name], meaning) for name, meaning in words.items()]
        lines.append("")
    lines += [*_providers(), *_search(), *_clients(), *_letta()]
    return "\n".join(lines) + "\n"


def variable(name: str) -> str:
    """The variable of a field."""
    return f"RUNSTEAD_{name.upper()}"


def _row(each: Field[object], meaning: str) -> str:
    return f"| `{variable(each.name)}` | {_default(each)} | {_unit(each)} | {meaning} |"


def _default(each: Field[object]) -> str:
    if each.name == "data_dir":
        return "`~/.runstead`"
    value = each.default
    if value is MISSING or value is None or value == "":
        return "none"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"`{value:.12g}`" if isinstance(value, float) else f"`{value}`"


def _unit(each: Field[object]) -> str:
    for ending, unit in _UNITS.items():
        if each.name.endswith(ending):
            return unit
    return _WHOLE.get(str(each.type), "text")


def _providers() -> list[str]:
    lines = [
        "## Providers of models\n",
        "A hosted provider is there when its key is set, a local one when its base URL is. With none of them the only model",
        "is `runstead/demo`. Handles are `provider/model`.\n",
        "| provider | key | base URL | speaks |",
        "|---|---|---|---|",
        "| `openai` | `OPENAI_API_KEY` | `OPENAI_BASE_URL` or `OPENAI_API_BASE`: any server that speaks"
        " Chat Completions | Responses; Chat Completions with a base URL |",
    ]
    for hosted in (*settings._PROVIDERS, *settings._LOCAL):
        name, kind = hosted[0], hosted[1] if hosted in settings._PROVIDERS else "chat"
        keys = [word for word in hosted if word.endswith("_KEY")]
        keys += ["GOOGLE_API_KEY"] if name == "google" else []
        bases = [word for word in hosted if re.fullmatch(r"[A-Z_]+_(URL|BASE)", word)]
        needed = "" if hosted in settings._PROVIDERS else ", where it wants one"
        lines.append(f"| `{name}` | {_or(keys)}{needed} | {_or(bases)} | {_SPOKEN[kind]} |")
    return [*lines, ""]


def _or(names: list[str]) -> str:
    return " or ".join(f"`{name}`" for name in names)


def _search() -> list[str]:
    return [
        "## Searching the web\n",
        "Who answers the tool `web_search`; the first that has a key.\n",
        "| service | key | base URL |",
        "|---|---|---|",
        "| Tavily | `TAVILY_API_KEY` | `TAVILY_BASE_URL` |",
        "| Exa | `EXA_API_KEY` | `EXA_BASE_URL` |",
        "",
    ]


def _clients() -> list[str]:
    lines = [
        "## Commands that speak to a server\n",
        "| variable | or | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{ours}` | `{theirs}` | {meaning} |" for ours, (theirs, meaning) in FOR_CLIENTS.items()]
    lines.append("| `NO_COLOR`, `TERM=dumb` |  | No colours and no moving lines. |")
    return [*lines, ""]


def _letta() -> list[str]:
    lines = [
        "## Letta's names\n",
        "Read where ours is not set, so that an environment made for a Letta server starts this one.\n",
        "| variable | is |",
        "|---|---|",
    ]
    lines += [f"| `{theirs}` | `{ours}` |" for ours, theirs in settings._LETTA.items()]
    lines.append("| `LETTA_REDIS_HOST`, `LETTA_REDIS_PORT` | `RUNSTEAD_REDIS_URL` |")
    return lines


if __name__ == "__main__":
    print(page(), end="")
