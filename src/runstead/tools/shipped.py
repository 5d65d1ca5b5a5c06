"""The tools that ship, in one list: what the model is told of each, and how they are put together for a server."""

from __future__ import annotations

from runstead.domain.tool import ToolSpec
from runstead.memory.archival import ArchivalMemory
from runstead.settings import Settings
from runstead.tools.builtin.archival import ARCHIVAL_SPECS, archival_tools
from runstead.tools.builtin.code import RUN_CODE, code_tools
from runstead.tools.builtin.conversation import CONVERSATION_TOOLS
from runstead.tools.builtin.files import FILE_SPECS, file_tools
from runstead.tools.builtin.memory import MEMORY_TOOLS
from runstead.tools.builtin.web import FETCH_WEBPAGE, WEB_SEARCH, Web
from runstead.tools.reader import DocumentReader
from runstead.tools.registry import BuiltinTool
from runstead.tools.sandbox import Sandbox

_PLAIN = (*MEMORY_TOOLS, *CONVERSATION_TOOLS)
SPECS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        *(tool.spec for tool in _PLAIN),
        *ARCHIVAL_SPECS,
        *FILE_SPECS,
        RUN_CODE,
        FETCH_WEBPAGE,
        WEB_SEARCH,
    )
}


def shipped_tools(
    settings: Settings, sandbox: Sandbox, memory: ArchivalMemory, reader: DocumentReader
) -> tuple[BuiltinTool, ...]:
    """All of them."""
    code = code_tools(sandbox, timeout_s=settings.tool_timeout_s)
    return (
        *_PLAIN,
        *archival_tools(memory),
        *file_tools(reader, memory),
        *code,
        *Web(settings, reader).tools,
    )
