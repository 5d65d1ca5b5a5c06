"""Gathers the site's pages in a folder and has Zensical build it, strictly: a link or an anchor that leads nowhere ends it.

Pages come from docs/, from a few documents of the repository's root, and from the API's own document. Nothing is fetched.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from runstead.cli.openapi import document
from website.diagrams import as_tables
from website.links import rewritten
from website.reference import pages

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
CONFIGURATION = Path(__file__).with_name("zensical.toml")
# Documents of the repository that are pages too.
PROJECT = {
    "ARCHITECTURE.md": "project/architecture.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "CHANGELOG.md": "project/changelog.md",
}
LEFT_OUT = {"docs/decisions/template.md"}
BUILD_S = 300


class BuildFailed(Exception):
    """Zensical found something; its words are the text."""


def homes() -> dict[str, str]:
    """Each file of the repository that is a page, and its place in the site."""
    of_docs = {
        path.relative_to(ROOT).as_posix(): path.relative_to(DOCS).as_posix()
        for path in sorted(DOCS.rglob("*.md"))
    }
    return {file: place for file, place in {**of_docs, **PROJECT}.items() if file not in LEFT_OUT}


def in_navigation() -> list[str]:
    """The pages that the navigation names, in its order."""

    def leaves(entries: list[dict[str, Any]]) -> Iterator[str]:
        for entry in entries:
            for target in entry.values():
                if isinstance(target, str):
                    yield target
                else:
                    yield from leaves(cast("list[dict[str, Any]]", target))

    return list(leaves(tomllib.loads(CONFIGURATION.read_text(encoding="utf-8"))["project"]["nav"]))


def gather(folder: Path) -> None:
    """Fill an empty folder with the configuration and every page, as Zensical wants them."""
    docs = folder / "docs"
    for path in DOCS.rglob("*"):
        if path.is_file() and path.suffix != ".md":
            place = docs / path.relative_to(DOCS)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, place)
    known = homes()
    for file, place in known.items():
        text = rewritten((ROOT / file).read_text(encoding="utf-8"), ROOT / file, ROOT, known)
        _write(docs / place, as_tables(text))
    for name, text in pages(json.loads(asyncio.run(document()))).items():
        _write(docs / "api" / name, text)
    shutil.copyfile(CONFIGURATION, folder / CONFIGURATION.name)


def build(folder: Path) -> Path:
    """Gather and build in an empty folder; gives the site's own folder. Raises `BuildFailed`."""
    gather(folder)
    return strictly(folder)


def strictly(folder: Path) -> Path:
    """Have Zensical build what was gathered; gives the site's own folder. Raises `BuildFailed`."""
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "--config-file", CONFIGURATION.name],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=BUILD_S,
        check=False,
    )
    if done.returncode != 0:
        raise BuildFailed(_plain(done.stdout + done.stderr).partition("Traceback")[0])
    return folder / "site"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)
