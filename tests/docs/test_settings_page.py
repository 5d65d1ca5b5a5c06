"""docs/settings.md says every setting, and says it as it is."""

from __future__ import annotations

import ast
import re
from dataclasses import fields

from website.setting_words import OF_THEIR_OWN, WORDS
from website.settings_page import page, variable
from website.site import DOCS, ROOT

from runstead.settings import Settings


def test_every_setting_has_words() -> None:
    """A field without any is said here by its name; write it into website/setting_words.py."""
    said = [name for group in WORDS.values() for name in group]
    known = {each.name for each in fields(Settings)} - OF_THEIR_OWN

    assert sorted(known - set(said)) == []
    assert sorted(set(said) - known) == []
    assert len(said) == len(set(said))


def test_the_page_is_current() -> None:
    """Made by `python -m website.settings_page > docs/settings.md`."""
    written = (DOCS / "settings.md").read_text(encoding="utf-8")
    assert written == page(), "run: python -m website.settings_page > docs/settings.md"


def test_every_variable_that_is_read_is_named() -> None:
    """Whatever in settings.py looks like a variable of the environment stands on the page."""
    source = (ROOT / "src" / "runstead" / "settings.py").read_text(encoding="utf-8")
    names = {
        node.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[A-Z]+(_[A-Z0-9]+)+", node.value)
    }
    text = page()

    names -= {"LC_ALL"}  # handed on to programs of others, and not read

    assert len(names) > 20
    assert sorted(name for name in names if f"`{name}" not in text) == []


def test_defaults_and_units_are_said() -> None:
    """As a reader needs them: no `.0`, no `None`, a unit that the name implies."""
    rows = {row.split("`")[1]: row for row in page().splitlines() if row.startswith("| `RUNSTEAD_")}

    assert "| `604800` | seconds |" in rows[variable("events_keep_s")]
    assert "| `67108864` | bytes |" in rows[variable("body_bytes_max")]
    assert "| off | truth |" in rows[variable("log_json")]
    assert "| none | text |" in rows[variable("redis_url")]
    assert "| `~/.runstead` | folder |" in rows[variable("data_dir")]
