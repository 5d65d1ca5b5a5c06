"""The system prompt: the agent's own text with its memory compiled into it. Pure; the same for a question and for who asks
what a question would say.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from runstead.domain.agent import Agent, Block
from runstead.domain.folder import NO_DIRECTORY, Directory, FileStatus, FolderView, StoredFile, Window


def memory_prompt(blocks: Sequence[Block]) -> str:
    """An agent's memory as its model reads it: each block with what it is for and how full it is. Empty without blocks."""
    if not blocks:
        return ""
    lines = ["<memory_blocks>"]
    for block in blocks:
        read_only = ' read_only="true"' if block.read_only else ""
        size = f'chars_used="{len(block.value)}" chars_limit="{block.limit_chars}"'
        lines.append(f'<block label="{escape(block.label)}" {size}{read_only}>')
        if block.description:
            lines.append(f"<description>{block.description}</description>")
        lines += [f"<value>{block.value}</value>", "</block>"]
    lines.append("</memory_blocks>")
    return "\n".join(lines)


def directory_prompt(directory: Directory) -> str:
    """An agent's folders as its model reads them: what is in each, and what it sees of the files that are open."""
    if not directory.folders:
        return ""
    seen = {window.file.id: window for window in directory.windows}
    lines = ["<directories>"]
    for view in directory.folders:
        lines += _folder_lines(view, {file.id for file in view.files if file.id in seen})
    lines += [line for window in directory.windows for line in window_lines(window)]
    lines.append("</directories>")
    return "\n".join(lines)


def window_text(window: Window) -> str:
    """What is seen of an open file: which lines, and each with its number."""
    of = window.file.lines or 1
    head = f"[Viewing lines {window.first_line} to {window.last_line} (out of {of} lines)]"
    texts = window.text.removesuffix("\n").split("\n")
    numbered = (f"{number}: {text}" for number, text in enumerate(texts, window.first_line))
    return "\n".join((head, *numbered))


def window_lines(window: Window) -> tuple[str, ...]:
    """An open file as a model reads it."""
    return (f'<open_file name="{escape(window.file.path)}">', window_text(window), "</open_file>")


def _folder_lines(view: FolderView, opened: set[str]) -> list[str]:
    folder = view.folder
    lines = [f'<directory name="{escape(folder.name)}" files="{view.count}">']
    if folder.description:
        lines.append(f"<description>{folder.description}</description>")
    if folder.instructions:
        lines.append(f"<instructions>{folder.instructions}</instructions>")
    lines += [_file_line(file, is_open=file.id in opened) for file in view.files]
    if view.count > len(view.files):
        lines.append(f"[and {view.count - len(view.files)} more, which the tools for files find too]")
    lines.append("</directory>")
    return lines


def _file_line(file: StoredFile, *, is_open: bool) -> str:
    status = "open" if is_open else "closed"
    if file.status is FileStatus.ERROR:
        status = "cannot be read"
    elif file.status is not FileStatus.COMPLETED:
        status = "still being read"
    lines = "" if file.lines is None else f' lines="{file.lines}"'
    return f'<file name="{escape(file.path)}" status="{status}"{lines}/>'


def system_prompt(
    agent: Agent, blocks: Sequence[Block], override: str | None = None, directory: Directory = NO_DIRECTORY
) -> str:
    """What stands before a conversation."""
    more = [part for part in (memory_prompt(blocks), directory_prompt(directory)) if part]
    return "\n\n".join((override or agent.system, *more))
