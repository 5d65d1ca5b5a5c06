"""Every code block of every page works: commands and Python run against a real server, files are read by their parsers.

What cannot run says why in the page, and there are few of these.
"""

from __future__ import annotations

import configparser
import json
import os
import subprocess
import tomllib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, cast

import crossplane
import pytest
import yaml
from tests.compat.environments import INSTALL_S, python_of
from tests.docs.blocks import ROOT, Block, every_block
from tests.docs.shell import PAGE_S, Reader, run_page
from tests.ports import free_port
from tests.services import POSTGRES_USER, PostgresServer, RedisServer
from tests.serving import Server
from website.diagrams import as_tables

from runstead.cli.grammar import parser

NOT_RUN_MAX = 16
# What is shown, and not said to work: output, and lines of usage.
_SHOWN = {"text"}
_RUN = {"bash", "python"}
# Its examples have `…` where an id or a key stands; the grammar reads them instead.
_OF_THE_GRAMMAR = ROOT / "docs" / "cli.md"

_POSTGRES = "postgresql://user:password@db.example:5432/runstead"
_REDIS = "redis://redis.example:6379/0"


def nginx(code: str, folder: Path) -> None:
    """A piece of nginx's configuration: its directives are known, stand where they may and take these arguments."""
    if code.lstrip().startswith("location"):
        code = f"server {{\n{code}\n}}"
    file = folder / "nginx.conf"
    file.write_text(f"events {{}}\nhttp {{\n{code}\n}}\n", encoding="utf-8")
    read = cast(
        "dict[str, Any]",
        crossplane.parse(str(file), strict=True, check_ctx=True, check_args=True, single=True),
    )
    assert read["status"] == "ok", read["errors"]


def ini(code: str, _folder: Path) -> None:
    """A unit of systemd: names may stand several times, and keep their case."""
    read = configparser.RawConfigParser(strict=False)
    read.read_string(code)
    assert read.sections()


_PARSED: Mapping[str, Callable[[str, Path], object]] = {
    "ini": ini,
    "json": lambda code, _: json.loads(code),
    "mermaid": lambda code, _: as_tables(f"```mermaid\n{code}```"),
    "nginx": nginx,
    "toml": lambda code, _: tomllib.loads(code),
    "yaml": lambda code, _: yaml.safe_load(code),
}


def _runs(block: Block) -> bool:
    return block.language in _RUN and block.reason is None and block.page != _OF_THE_GRAMMAR


PAGES_TO_RUN = sorted({block.page for block in every_block() if _runs(block)})


def test_every_block_says_what_it_is() -> None:
    """Its language is one that is run, parsed, or only shown."""
    known = {*_RUN, *_PARSED, *_SHOWN}
    unknown = [
        f"{block.place} {block.language or 'no language'}"
        for block in every_block()
        if block.language not in known
    ]
    assert not unknown, f"write one of {sorted(known)} behind the fence, or teach this test: {unknown}"


def test_few_blocks_do_not_run() -> None:
    """And each of those says why."""
    marked = [f"{block.place}: {block.reason}" for block in every_block() if block.reason is not None]
    assert len(marked) <= NOT_RUN_MAX, "\n".join(marked)


def test_there_is_something_to_run() -> None:
    """The harness finds what a reader finds."""
    found = Counter(block.language for block in every_block())
    assert found["bash"] > 30
    assert found["python"] > 1
    assert ROOT / "README.md" in PAGES_TO_RUN


@pytest.mark.parametrize(
    "block",
    [each for each in every_block() if each.language in _PARSED and each.reason is None],
    ids=lambda block: block.place,
)
def test_a_file_is_of_its_kind(block: Block, tmp_path: Path) -> None:
    """A parser reads it."""
    _PARSED[block.language](block.code, tmp_path)


@pytest.mark.slow
def test_the_manual_s_examples_can_be_typed(tmp_path: Path) -> None:
    """A shell reads them as it would for a person, and the grammar takes what `runstead` is given."""
    examples = "".join(
        each.code for each in every_block() if each.page == _OF_THE_GRAMMAR and each.language == "bash"
    )
    (tmp_path / ".config" / "fish" / "completions").mkdir(parents=True)
    noting = 'runstead() { printf "%s\\0" "$@" >>calls; printf "\\n\\0" >>calls; [ "$1" = completion ] || echo "{}"; }\n'
    shell = ["bash", "-e", "-c", noting + examples]
    done = subprocess.run(
        shell,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": os.defpath},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    calls = (tmp_path / "calls").read_text(encoding="utf-8").split("\n\0")[:-1]

    assert len(calls) > 40
    for call in calls:
        parser().parse_args(call.split("\0")[:-1])


@pytest.mark.slow
@pytest.mark.timeout(INSTALL_S + PAGE_S + 60)
@pytest.mark.parametrize("page", PAGES_TO_RUN, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_does_what_it_says(page: Path, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """All of its blocks run in order, as typed; a page that serves has a server of its own."""
    blocks = [block for block in every_block() if block.page == page and _runs(block)]
    code = "".join(block.code for block in blocks)
    serves = "runstead serve" in code
    port = free_port() if serves else cast("Server", request.getfixturevalue("demo_server")).port
    instead, variables = _services(code, request)
    run_page(blocks, Reader(tmp_path, port, python_of(1), instead, variables))


def _services(code: str, request: pytest.FixtureRequest) -> tuple[dict[str, str], dict[str, str]]:
    """A real PostgreSQL and a real Redis in place of those that a page names, and how its tools find them."""
    instead: dict[str, str] = {}
    variables: dict[str, str] = {}
    if _POSTGRES in code:
        server = cast("PostgresServer", request.getfixturevalue("postgres_server"))
        made_by_the_page = "createdb runstead" in code
        url = server.url_of("runstead") if made_by_the_page else server.new_database()
        request.addfinalizer(partial(server.drop_database, url))
        instead[_POSTGRES] = url
        variables = {"PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": POSTGRES_USER}
    if _REDIS in code:
        instead[_REDIS] = cast("RedisServer", request.getfixturevalue("redis_server")).url
    return instead, variables
