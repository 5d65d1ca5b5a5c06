"""What one server needs to run tools, put together: the tools that ship, the sandbox, and runners for stored tools by type.

A new kind of stored tool is one more runner here.
"""

from __future__ import annotations

from dataclasses import dataclass

from runstead.domain.mcp_server import EXTERNAL_MCP
from runstead.domain.stored_tool import CUSTOM
from runstead.memory.archival import ArchivalMemory
from runstead.memory.embedder import Embedder
from runstead.settings import Settings
from runstead.store.database import Database
from runstead.store.vault import Vault
from runstead.tools.custom import CustomTools
from runstead.tools.mcp.servers import McpServers
from runstead.tools.packages import Packages
from runstead.tools.reader import DocumentReader
from runstead.tools.registry import Runners, Toolbox, ToolWatch, unwatched
from runstead.tools.sandbox import Sandbox
from runstead.tools.shipped import shipped_tools


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts. `toolbox` runs what agents call; `custom` and `mcp` run stored tools for who asks for it directly; `memory`
    is what routes search too, so that they find what the tool finds; `reader` reads files.
    """

    toolbox: Toolbox
    custom: CustomTools
    sandbox: Sandbox
    vault: Vault
    mcp: McpServers
    memory: ArchivalMemory
    reader: DocumentReader


def open_workshop(
    settings: Settings, db: Database, embedder: Embedder | None = None, watch: ToolWatch = unwatched
) -> Workshop:
    """Put the parts together. Nothing is started. `watch` sees every call.

    Without an embedder, archival memory is found by its words.
    """
    sandbox, vault, reader = Sandbox(settings), Vault(settings), DocumentReader(settings)
    memory = ArchivalMemory(embedder, default=settings.embedding_model or None)
    custom = CustomTools(db, sandbox, Packages(settings), vault, timeout_s=settings.tool_timeout_s)
    mcp = McpServers(db, vault, settings)
    runners: Runners = {CUSTOM: custom, EXTERNAL_MCP: mcp}
    toolbox = Toolbox(
        db,
        shipped_tools(settings, sandbox, memory, reader),
        timeout_s=settings.tool_timeout_s,
        runners=runners,
        watch=watch,
    )
    return Workshop(toolbox, custom, sandbox, vault, mcp, memory, reader)
