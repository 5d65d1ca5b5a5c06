"""Which MCP servers may be run or asked here: programs that the operator allowed, and addresses that are public or allowed.

Looked at when a server is registered, and again whenever it is connected to. Nothing is started, and nothing
is asked but the addresses of names.
"""

from __future__ import annotations

import re
import shutil

from runstead.domain.mcp_server import McpSecrets, McpServer
from runstead.errors import Forbidden, Invalid
from runstead.outward.addresses import NoAddress, NotPublic, Refused, host_and_port
from runstead.outward.inward import MCP_SERVERS, Inward
from runstead.settings import Settings

# Variables by which a program is made to load or run something else than what was allowed.
_STEERS = re.compile(
    r"PATH|IFS|ENV|BASH_ENV|SHELLOPTS|BASHOPTS|(LD|DYLD|PYTHON|PERL|RUBY|GCONV|BASH_FUNC|UV|PIP|NPM|npm|GIT)_?.*"
    r"|NODE_.*|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|DENO_.*|BUN_.*"
)


class Permission:
    """What the operator allows, as `settings` say it. Raises `Invalid` where they cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.reach = Inward(settings.mcp_allow_hosts, MCP_SERVERS).reach

    async def check(self, server: McpServer, secrets: McpSecrets) -> None:
        """Raises `Forbidden` or `Invalid`, naming the setting that would let the server be used.

        A name without an address now may have one later: it is let through.
        """
        if server.transport == "stdio":
            self.program(server, secrets)
            return
        try:
            await self.reach(*host_and_port(server.url))
        except NotPublic as why:
            raise Forbidden(f"This MCP server may not be asked: {why}") from None
        except NoAddress:
            return
        except Refused as why:
            raise Invalid(f"This MCP server cannot be asked: {why}") from None

    def program(self, server: McpServer, secrets: McpSecrets) -> list[str]:
        """The command line of a server that is a program, its path in full.

        Raises `Forbidden` where the operator did not allow it, `Invalid` where it is not there.
        """
        given = (server.command, *server.arguments)
        if not any(given[: len(allowed)] == allowed for allowed in self.settings.mcp_commands):
            raise Forbidden(
                f"Running {server.command[:200]!r} as an MCP server is not allowed here. The operator can allow a command"
                " with RUNSTEAD_MCP_STDIO_COMMANDS; servers of the types sse and streamable_http need no permission."
            )
        if any("\0" in each for each in given):
            raise Invalid("A command cannot hold NUL characters.")
        steering = [name[:100] for name in secrets.environment if _STEERS.fullmatch(name)]
        if steering:
            raise Forbidden(
                f"These variables change what a program loads and cannot be given: {', '.join(steering)}."
            )
        found = shutil.which(server.command)
        if found is None:
            raise Invalid(f"There is no program {server.command[:200]!r} on this server.")
        return [found, *server.arguments]
