"""The laws of this repository that no linter knows. A failure names the file, the line and the mend."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "runstead"
LINES_MAX = 500
FUNCTION_LINES_MAX = 60
AGENTS_LINES_MAX = 150
PROSE_CHARS_MIN = 12

# A needle may stand only in its homes: each wire format, protocol and privilege is written in one place.
HOMES = {
    r"text/event-stream": ("api/stream.py", "api/openapi.py", "llm/", "cli/"),
    r"\[DONE\]": ("api/stream.py", "api/openapi.py", "api/routes/runs.py", "llm/", "cli/"),
    r"\bimport (sqlite3|aiosqlite)\b": ("store/", "events/embedded.py", "cli/version.py"),
    r"\b(INSERT INTO|DELETE FROM|BEGIN IMMEDIATE|PRAGMA)\b": ("store/", "events/embedded.py"),
    r"\b(db|conn|connection|raw)\.(begin|commit|rollback)\(\)": ("store/",),
    r"status=RunStatus\.": ("domain/run_machine.py", "runs/admit.py", "store/runs.py"),
    r"\bimport (httpx2?|h11|httpcore2?)\b": ("cli/", "llm/", "outward/", "tools/mcp/"),
    r"\bimport (subprocess|multiprocessing)\b": ("tools/", "cli/"),
    r"\b(?:api\.openai\.com|api\.anthropic\.com|generativelanguage)\b": ("settings.py", "llm/"),
    r"\bos\._exit\b|\bsys\.exit\b": ("__main__.py", "cli/"),
}
BANNED_NAMES = re.compile(r"(^|_)(utils?|helpers?|common|managers?|misc|base2|v\d+)(_|$)")
# Each migration is a file of its own whose name begins with its number.
NUMBERED = "store/migrations/"
# Ships so that users can test their agents too: nothing in the package imports it.
SHIPPED_FAKES = {"llm/scripted.py"}
# What waits for conditions may look again; what plays a slow model may be slow.
SLEEP_HOMES = {
    "tests/world.py",
    "tests/serving.py",
    "tests/compat/journey.py",
    "tests/provider_server.py",
    "tests/story_model.py",
}


@cache
def python_files(folder: str) -> tuple[Path, ...]:
    """All Python files below a folder of the repository."""
    return tuple(sorted((ROOT / folder).rglob("*.py")))


def place(path: Path, line: int = 1) -> str:
    """`file:line`, as editors open it."""
    return f"{path.relative_to(ROOT)}:{line}"


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def lines(path: Path) -> Iterator[tuple[int, str]]:
    """The numbered lines of a file."""
    return enumerate(path.read_text(encoding="utf-8").splitlines(), 1)


def hold(faults: list[str], mend: str) -> None:
    """Fail with every fault and what to do about them."""
    assert not faults, "\n".join([mend, *faults])


EVERY_FILE = tuple(
    path for folder in ("src", "tests", "benchmarks", "website") for path in python_files(folder)
)


def test_files_are_short() -> None:
    """A file that is read in one sitting: at most 500 lines."""
    found = [(path, len(list(lines(path)))) for path in EVERY_FILE]
    hold(
        [f"{place(path)} has {count} lines" for path, count in found if count > LINES_MAX],
        f"Split by noun; at most {LINES_MAX} lines:",
    )


@pytest.mark.slow
def test_functions_are_short() -> None:
    """A function fits on a screen: at most 60 lines."""
    faults = [
        f"{place(path, node.lineno)} {node.name} has {length} lines"
        for path in EVERY_FILE
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (length := (node.end_lineno or node.lineno) - node.lineno + 1) > FUNCTION_LINES_MAX
    ]
    hold(faults, f"Let the parent decide and the leaves compute; at most {FUNCTION_LINES_MAX} lines:")


@pytest.mark.slow
def test_every_module_says_what_it_is() -> None:
    """A module opens with a sentence at least, also a test's."""
    faults = [
        place(path)
        for path in EVERY_FILE
        if path.read_text(encoding="utf-8").strip()
        and len(ast.get_docstring(parsed(path)) or "") < PROSE_CHARS_MIN
        and path.name != "__init__.py"
    ]
    hold(faults, "Say at the top what it is and what it never does:")


@pytest.mark.parametrize("needle", HOMES)
def test_everything_has_its_home(needle: str) -> None:
    """Each wire format, protocol and privilege is written in its own file only."""
    pattern, homes = re.compile(needle), HOMES[needle]
    faults = [
        place(path, number)
        for path in python_files("src")
        if not path.relative_to(PACKAGE).as_posix().startswith(homes)
        for number, line in lines(path)
        if pattern.search(line)
    ]
    hold(faults, f"/{needle}/ stands only in {', '.join(homes)}:")


def test_names_say_something() -> None:
    """No file is called for being useful."""
    faults = [
        place(path)
        for path in EVERY_FILE
        for part in path.relative_to(ROOT).with_suffix("").parts
        if BANNED_NAMES.search(part) and NUMBERED not in path.as_posix()
    ]
    hold(faults, "Name it for the noun that it holds; a second version replaces the first:")


def test_a_broad_except_says_what_the_error_becomes() -> None:
    """`except Exception` ends a task or a request, and says what it turns the error into."""
    faults: list[str] = []
    for path in python_files("src"):
        for (number, line), (_, below) in pairwise([*lines(path), (0, "")]):
            broad = re.search(r"except (Base)?Exception\b", line)
            told = re.search(r"# (?!noqa)\S|# noqa: [A-Z0-9, ]+ ?[-#–] ?\S", line) or "# " in below
            if broad and not told:
                faults.append(place(path, number))
    hold(faults, "Catch narrow, or say in a comment there what the error becomes:")


@pytest.mark.slow
def test_every_module_is_imported() -> None:
    """No dead files: each module is named by another one of the package."""
    texts = {path: path.read_text(encoding="utf-8") for path in python_files("src")}
    faults: list[str] = []
    for path in python_files("src"):
        module = path.relative_to(PACKAGE).with_suffix("")
        if path.name == "__init__.py" or NUMBERED in path.as_posix():
            continue
        if module.as_posix() == "__main__" or path.relative_to(PACKAGE).as_posix() in SHIPPED_FAKES:
            continue
        package, name = ".".join(("runstead", *module.parts[:-1])), module.parts[-1]
        wanted = re.compile(
            rf"{re.escape(package)}\.({name}\b|\{{)|from {re.escape(package)} import [^#]*?\b{name}\b"
        )
        if not any(wanted.search(text) for other, text in texts.items() if other != path):
            faults.append(place(path))
    hold(faults, "Nothing imports it; use it or remove it:")


@pytest.mark.slow
def test_public_names_are_unique() -> None:
    """A name means one thing: no public class stands in two files of the package, outside of wire formats."""
    homes: dict[str, list[str]] = {}
    for path in python_files("src"):
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes.setdefault(node.name, []).append(place(path, node.lineno))
    hold(
        [f"{name}: {', '.join(found)}" for name, found in sorted(homes.items()) if len(found) > 1],
        "Two classes of one name; rename the narrower one:",
    )


def test_fundamentals_state_their_fact() -> None:
    """`tests/fundamentals` is the tutorial: each test's docstring says what is true."""
    faults = [
        place(path, node.lineno)
        for path in python_files("tests/fundamentals")
        for node in parsed(path).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not ast.get_docstring(node)
    ]
    hold(faults, "State the fact in the docstring:")


def test_no_test_sleeps() -> None:
    """Tests wait for conditions. A line that must sleep says for whom: a model, a provider, a tool, a client."""
    faults = [
        place(path, number)
        for path in python_files("tests")
        if path.relative_to(ROOT).as_posix() not in SLEEP_HOMES and path != Path(__file__)
        for number, line in lines(path)
        if re.search(r"\btime\.sleep\(|\basyncio\.sleep\((?!0\))", line)
        and "# noqa: ASYNC" not in line
        and not re.search(r"#.*\b(model|provider|tool|client)s?\b", line)
    ]
    hold(faults, "Wait for a condition (tests/world.py, tests/serving.py), or say whose slowness it plays:")


def test_nothing_is_mocked() -> None:
    """Tests use fakes that keep the promises of what they stand for."""
    faults = [
        place(path, number)
        for path in (*python_files("tests"), *python_files("benchmarks"))
        for number, line in lines(path)
        if re.match(r"\s*(from unittest|import unittest|from mock|import mock)\b", line)
    ]
    hold(faults, "Use a fake: ManualClock, CountingIds, llm/scripted.py, tests/provider_server.py:")


def test_the_guide_is_short() -> None:
    """AGENTS.md is read whole, so it stays short."""
    count = len((ROOT / "AGENTS.md").read_text(encoding="utf-8").splitlines())
    assert count <= AGENTS_LINES_MAX, f"AGENTS.md:1 has {count} lines; at most {AGENTS_LINES_MAX}"


def test_locks_name_no_place() -> None:
    """Lock files hold versions and hashes; where packages come from is the installer's business."""
    faults = [
        place(path, number)
        for path in sorted(ROOT.glob("requirements*.lock"))
        for number, line in lines(path)
        if "://" in line or line.startswith(("-i", "--index", "--extra", "--find"))
    ]
    hold(faults, "Run scripts/lock:")
    named = [
        place(path)
        for path in (ROOT / "tests").rglob("package-lock.json")
        if '"resolved"' in path.read_text()
    ]
    hold(named, "Write it again with `npm install --package-lock-only --omit-lockfile-registry-resolved`:")


def test_links_in_the_documents_lead_somewhere() -> None:
    """A relative link of a page has its file."""
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
    faults = [
        f"{place(page, number)} {target}"
        for page in pages
        for number, line in lines(page)
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", line)
        if "://" not in target and not (page.parent / target).exists()
    ]
    hold(faults, "Mend the link:")
