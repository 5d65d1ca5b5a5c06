"""Links on their way from the repository to the site."""

from __future__ import annotations

import pytest
from website.links import rewritten
from website.site import PROJECT, ROOT, homes

HOMES = {"docs/a.md": "a.md", "docs/decisions/b.md": "decisions/b.md", **PROJECT}


@pytest.mark.parametrize(
    ("page", "given", "wanted"),
    [
        ("docs/a.md", "[b](decisions/b.md#why)", "[b](decisions/b.md#why)"),
        ("docs/decisions/b.md", "[a](../a.md)", "[a](../a.md)"),
        ("docs/a.md", "[map](../ARCHITECTURE.md)", "[map](project/architecture.md)"),
        ("ARCHITECTURE.md", "[a](docs/a.md)", "[a](../a.md)"),
        ("docs/a.md", "[tests/fault](../tests/fault/test_killed.py)", "`tests/fault`"),
        ("docs/a.md", "[the map](../pyproject.toml)", "the map (`pyproject.toml`)"),
        ("docs/a.md", "[there](https://example.com/a.md)", "[there](https://example.com/a.md)"),
        ("docs/a.md", "[here](#below)", "[here](#below)"),
        ("docs/a.md", "![picture](images/run.png)", "![picture](images/run.png)"),
        ("docs/a.md", "```\n[a](../pyproject.toml)\n```", "```\n[a](../pyproject.toml)\n```"),
    ],
)
def test_a_link_finds_its_place(page: str, given: str, wanted: str) -> None:
    """What the site holds is linked, what it does not is named, code is left alone."""
    assert rewritten(given, ROOT / page, ROOT, HOMES) == wanted


def test_every_document_has_a_home() -> None:
    """Those of docs/ keep their names; the template is no page."""
    found = homes()

    assert found["docs/cli.md"] == "cli.md"
    assert found["CHANGELOG.md"] == "project/changelog.md"
    assert "docs/decisions/template.md" not in found
