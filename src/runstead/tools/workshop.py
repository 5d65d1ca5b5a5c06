"""What one server needs to run tools, put together: the tools that ship, the sandbox, and runners for stored tools by type.

A new kind of stored tool is one more runner here.
"""

from __future__ import annotations

from dataclasses import dataclass

from runstead.domain.stored_tool import CUSTOM
from runstead.settings import Settings
from runstead.store.database import Database
from runstead.store.vault import Vault
from runstead.tools.custom import CustomTools
from runstead.tools.packages import Packages
from runstead.tools.reader import DocumentReader
from runstead.tools.registry import Runners, Toolbox
from runstead.tools.sandbox import Sandbox
from runstead.tools.shipped import shipped_tools


@dataclass(frozen=True, slots=True)
class Workshop:
    """The parts. `toolbox` runs what agents call, `custom` user code for who asks for it directly; `reader` reads files."""

    toolbox: Toolbox
    custom: CustomTools
    sandbox: Sandbox
    vault: Vault
    reader: DocumentReader


def open_workshop(settings: Settings, db: Database) -> Workshop:
    """Put the parts together. Nothing is started."""
    sandbox, vault, reader = Sandbox(settings), Vault(settings), DocumentReader(settings)
    custom = CustomTools(db, sandbox, Packages(settings), vault, timeout_s=settings.tool_timeout_s)
    runners: Runners = {CUSTOM: custom}
    shipped = shipped_tools(settings, sandbox, reader)
    toolbox = Toolbox(db, shipped, timeout_s=settings.tool_timeout_s, runners=runners)
    return Workshop(toolbox, custom, sandbox, vault, reader)
