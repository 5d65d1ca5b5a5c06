"""User code as a tool: one call of a stored tool, or of a source that belongs to nobody, in the sandbox.

It opens an agent's secrets for the call and for nothing else: no answer, log line or error holds one.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from runstead.domain.agent import Agent
from runstead.domain.stored_tool import StoredTool
from runstead.domain.tool import ToolOutcome
from runstead.errors import Unavailable
from runstead.store import secrets
from runstead.store.database import Database
from runstead.store.vault import CannotOpen, Vault
from runstead.tools.packages import CannotInstall, Packages
from runstead.tools.registry import Arguments, ToolContext, ToolFailure
from runstead.tools.sandbox import Job, Ran, Sandbox, SandboxUnavailable
from runstead.tools.signature import Signature


class CustomTools:
    """Runs user code for agents."""

    def __init__(
        self, db: Database, sandbox: Sandbox, packages: Packages, vault: Vault, *, timeout_s: float
    ) -> None:
        self._db = db
        self._sandbox = sandbox
        self._packages = packages
        self._vault = vault
        self._timeout_s = timeout_s

    async def run(self, tool: StoredTool, arguments: Arguments, context: ToolContext) -> ToolOutcome:
        """One call of an agent's tool. Raises `ToolFailure` where it could not be begun."""
        environment = {
            "LETTA_AGENT_ID": context.agent.id,
            "LETTA_TOOL_CALL_ID": context.call_id,
            **await self._secrets(context.agent),
        }
        return await self.call(tool, arguments, environment, _agent_state(context.agent, context.now))

    async def call(
        self,
        tool: StoredTool,
        arguments: Arguments,
        environment: Mapping[str, str],
        agent: Mapping[str, object] | None = None,
    ) -> ToolOutcome:
        """One call with an environment of the caller's. Raises `ToolFailure` where it could not be begun."""
        if tool.source_type != "python":
            raise ToolFailure(f"it is written in {tool.source_type}; this server runs Python only.")
        try:
            packages = await self._packages.folder(tool.pip_requirements)
            job = Job(
                "call",
                tool.source_code,
                tool.name,
                arguments,
                tool.args_json_schema,
                environment=environment,
                agent=agent,
                packages=packages,
                owner=tool.user_id,
            )
            ran = await self._sandbox.run(job, timeout_s=self._timeout_s)
        except (CannotInstall, SandboxUnavailable) as why:
            raise ToolFailure(str(why)) from None
        return _outcome(tool.name, ran)

    async def resolved(self, signature: Signature, source: str) -> Signature:
        """A signature with the types that only the source itself can tell. Raises `ToolFailure`."""
        if not signature.unresolved:
            return signature
        job = Job("schema", source, signature.name, parameters=signature.unresolved)
        try:
            ran = await self._sandbox.run(job, timeout_s=self._timeout_s)
        except SandboxUnavailable as why:
            raise ToolFailure(str(why)) from None
        if not ran.ok or ran.schemas is None:
            raise ToolFailure(ran.text)
        return signature.resolved(ran.schemas)

    async def _secrets(self, agent: Agent) -> dict[str, str]:
        sealed = await self._db.read(secrets.sealed_of_agent, agent.user_id, agent.id)
        try:
            return {name: self._vault.open(agent.id, name, value) for name, value in sealed.items()}
        except CannotOpen as error:
            raise ToolFailure(
                f"the agent's variable {error} cannot be opened: the server's key was changed. Give its value anew."
            ) from None
        except Unavailable as error:
            raise ToolFailure(error.detail) from None


def _outcome(name: str, ran: Ran) -> ToolOutcome:
    stdout = (ran.stdout,) if ran.stdout else ()
    if ran.ok:
        return ToolOutcome("success", ran.text, stdout, (ran.stderr,) if ran.stderr else ())
    printed = ran.stderr + ran.traceback
    text = f"Error executing function {name}: {ran.text}"
    if ran.traceback:
        text += "\n" + ran.traceback
    return ToolOutcome("error", text, stdout, (printed,) if printed else ())


def _agent_state(agent: Agent, now: datetime) -> dict[str, object]:
    """What code that asks for `agent_state` is shown of its agent."""
    return {
        "id": agent.id,
        "name": agent.name,
        "agent_type": agent.agent_type,
        "model": agent.model,
        "description": agent.description,
        "timezone": agent.timezone,
        "tags": list(agent.tags),
        "metadata": dict(agent.metadata),
        "now": now.isoformat(),
    }
