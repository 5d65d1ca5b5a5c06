"""The tools that look into the files of an agent's folders: opening a part of one, searching by a pattern, and by words.

What is open is noted in the store by the tool itself, and seen with the next question. A call that is run again opens the
same again. Patterns are matched in a process of their own (`tools/reader.py`): one can be made to take for ever.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import cast

from runstead.domain.folder import FileStatus, StoredFile, limits_of
from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.errors import Invalid
from runstead.memory.archival import ArchivalMemory
from runstead.store import files, open_files
from runstead.store.database import Database
from runstead.store.open_files import FileView
from runstead.store.passages import PassageFilter
from runstead.tools.reader import MATCHES_MAX, DocumentReader, Match, Unreadable
from runstead.tools.registry import Arguments, BuiltinTool, ToolContext, ToolFailure, text_argument

FOUND_DEFAULT = 5
FOUND_MAX = 50
PATTERN_CHARS_MAX = 1_000
# One call looks through so many characters of text; then it says that there is more.
GREP_CHARS_MAX = 20_000_000
FILES_NAMED_MAX = 20

OPEN_FILES = ToolSpec(
    "open_files",
    "Open files, or parts of them: you see them from then on, with the numbers of their lines, until they are closed."
    " Opening more than may be open closes those that were opened first.",
    {
        "type": "object",
        "properties": {
            "file_requests": {
                "type": "array",
                "description": "The files to open.",
                "items": {
                    "type": "object",
                    "properties": {
                        "file_name": {"type": "string", "description": "The file, as directory/name."},
                        "offset": {
                            "type": "integer",
                            "description": "The line to begin with, counted from 1; 1 if left out.",
                        },
                        "length": {
                            "type": "integer",
                            "description": "How many lines; as many as fit if left out.",
                        },
                    },
                    "required": ["file_name"],
                },
            },
            "close_all_others": {
                "type": "boolean",
                "description": "Whether every other file is closed first; false if left out.",
            },
        },
        "required": ["file_requests"],
    },
)
GREP_FILES = ToolSpec(
    "grep_files",
    f"Find the lines of your files that a regular expression matches, {MATCHES_MAX} at a time.",
    {
        "type": "object",
        "properties": {
            "pattern": {
                "type": "string",
                "description": "The regular expression, in Python's spelling; (?i) before it ignores letter case.",
            },
            "include": {
                "type": "string",
                "description": "Only files whose names fit this, as *.md or directory/*.",
            },
            "context_lines": {
                "type": "integer",
                "description": "How many lines before and after each are shown; 1 if left out.",
            },
            "offset": {
                "type": "integer",
                "description": "How many matches to leave out: those that you have seen already.",
            },
        },
        "required": ["pattern"],
    },
)
SEARCH_FILES = ToolSpec(
    "semantic_search_files",
    "Find the passages of your files that fit best what you look for.",
    {
        "type": "object",
        "properties": {
            "query": {"type": "string", "description": "What you look for, in words that it may hold."},
            "limit": {
                "type": "integer",
                "description": f"How many at the most; {FOUND_DEFAULT} if left out.",
            },
        },
        "required": ["query"],
    },
)
FILE_SPECS = (OPEN_FILES, GREP_FILES, SEARCH_FILES)


def file_tools(reader: DocumentReader, memory: ArchivalMemory) -> tuple[BuiltinTool, ...]:
    """The tools over a reader."""

    async def grep(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
        return await _grep(reader, arguments, context, db)

    async def search(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
        return await _search(arguments, context, db, memory)

    return (BuiltinTool(OPEN_FILES, _open), BuiltinTool(GREP_FILES, grep), BuiltinTool(SEARCH_FILES, search))


async def _open(arguments: Arguments, context: ToolContext, db: Database) -> ToolOutcome:
    there = await db.read(files.files_of_agent, context.user_id, context.agent.id)
    views = _views(arguments, there)
    others = arguments.get("close_all_others") is True
    try:
        closed = await db.write(open_files.open_views, context.agent, views, context.now, close_others=others)
    except Invalid as error:
        raise ToolFailure(error.detail) from None
    seen = {window.file.id: window for window in await db.read(open_files.windows_of_agent, context.agent)}
    lines: list[str] = []
    for view in views:
        window = seen.get(view.file.id)
        if window is not None:
            of = window.file.lines or 1
            lines.append(f"Opened {view.file.path}, lines {window.first_line} to {window.last_line} of {of}.")
            if window.last_line < of and view.lines is None:
                limit = limits_of(context.agent).chars
                lines.append(
                    f"No more than {limit} characters are seen at a time; open it at a later line for more."
                )
    if closed:
        lines.append(f"Closed: {', '.join(file.path for file in closed)}.")
    return ToolOutcome("success", "\n".join(lines))


def _views(arguments: Arguments, there: Sequence[StoredFile]) -> list[FileView]:
    """What shall be opened. Raises `ToolFailure`."""
    given = arguments.get("file_requests")
    if not isinstance(given, list) or not given:
        raise ToolFailure("file_requests must be a list of files, each with its file_name.")
    by_path = {file.path: file for file in there}
    views: dict[str, FileView] = {}
    for each in cast("list[object]", given):
        request = cast("Mapping[str, object]", each if isinstance(each, dict) else {"file_name": each})
        name = request.get("file_name")
        if not isinstance(name, str):
            raise ToolFailure("each file request must have a file_name.")
        file = by_path.get(name) or _only_one(name, there)
        first = _whole(request, "offset", least=0)
        views[file.id] = FileView(file, max(1, first or 1), _whole(request, "length", least=1))
    return list(views.values())


def _only_one(name: str, there: Sequence[StoredFile]) -> StoredFile:
    """The one file that has a name in whatever folder. Raises `ToolFailure`."""
    found = [file for file in there if file.name == name]
    if len(found) == 1:
        return found[0]
    some = ", ".join(file.path for file in (found or there)[:FILES_NAMED_MAX])
    if found:
        raise ToolFailure(f"there are several files named {name!r}: {some}.")
    raise ToolFailure(
        f"there is no file {name[:200]!r}. " + (f"Files: {some}." if some else "There are none.")
    )


async def _grep(
    reader: DocumentReader, arguments: Arguments, context: ToolContext, db: Database
) -> ToolOutcome:
    pattern = text_argument(arguments, "pattern")
    if not 1 <= len(pattern) <= PATTERN_CHARS_MAX:
        raise ToolFailure(f"pattern must have from 1 to {PATTERN_CHARS_MAX} characters.")
    include = text_argument(arguments, "include", default="") if arguments.get("include") else ""
    around = _whole(arguments, "context_lines", least=0)
    skip = _whole(arguments, "offset", least=0) or 0
    there = await db.read(files.files_of_agent, context.user_id, context.agent.id)
    wanted = [file for file in there if file.status is FileStatus.COMPLETED and _fits(file, include)]
    if not wanted:
        raise ToolFailure(
            "there is no file that can be searched" + (f" and fits {include!r}." if include else ".")
        )
    looked, left = _within(wanted)
    texts = await db.read(files.texts_of, context.user_id, [file.id for file in looked])
    named = [(file.path, texts[file.id]) for file in looked if file.id in texts]
    try:
        found = await reader.matches(pattern, named, around=1 if around is None else around, skip=skip)
    except Unreadable as why:
        raise ToolFailure(str(why)) from None
    lines = [_told(match) for match in found.matches]
    if found.more:
        lines.append(f"There are more; call again with offset {skip + len(found.matches)} to see them.")
    if left:
        lines.append(
            f"{len(left)} files were not looked into, because there is too much text for one call:"
            f" name them by include ({', '.join(file.path for file in left[:FILES_NAMED_MAX])})."
        )
    return ToolOutcome("success", "\n\n".join(lines) or f"Nothing in {len(named)} files fits {pattern!r}.")


def _within(wanted: Sequence[StoredFile]) -> tuple[list[StoredFile], list[StoredFile]]:
    """The files that one call looks into, and those that it leaves."""
    looked: list[StoredFile] = []
    room = GREP_CHARS_MAX
    for number, file in enumerate(wanted):
        room -= file.chars or 0
        if room < 0:
            return looked, list(wanted[number:])
        looked.append(file)
    return looked, []


def _fits(file: StoredFile, include: str) -> bool:
    return not include or fnmatchcase(file.path, include) or fnmatchcase(file.name, include)


def _told(match: Match) -> str:
    lines = [f"{match.file}, line {match.line}:"]
    lines += [
        f"{'>' if number == match.line else ' '} {number}: {line}"
        for number, line in enumerate(match.lines, match.first)
    ]
    return "\n".join(lines)


async def _search(
    arguments: Arguments, context: ToolContext, db: Database, memory: ArchivalMemory
) -> ToolOutcome:
    query = text_argument(arguments, "query")
    limit = min(_whole(arguments, "limit", least=1) or FOUND_DEFAULT, FOUND_MAX)
    where = PassageFilter(files=files.readable_by(context.user_id, context.agent.id))
    found = await memory.search(db, context.user_id, query, where, limit)
    there = await db.read(files.files_of_agent, context.user_id, context.agent.id) if found else []
    paths: dict[str, str] = {file.id: file.path for file in there}
    told: list[str] = []
    for each in found:
        piece = each.passage.piece_of
        assert piece is not None, "only pieces of files were asked for"
        name = paths.get(piece.file_id, piece.file_name)
        told.append(f"{name}, lines {piece.first_line} to {piece.last_line}:\n{each.passage.text}")
    return ToolOutcome("success", "\n\n".join(told) or f"Nothing in your files fits {query!r}.")


def _whole(arguments: Mapping[str, object], name: str, *, least: int) -> int | None:
    """A whole number that may be left out. Raises `ToolFailure`."""
    value = arguments.get(name)
    if value is None:
        return None
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ToolFailure(f"{name} must be a whole number of at least {least}.")
    return value
