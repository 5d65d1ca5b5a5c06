"""`run_code`: a piece of code that the model wrote, run in the sandbox like any user code, with no secrets around it."""

from __future__ import annotations

from dataclasses import replace

from runstead.domain.tool import ToolOutcome, ToolSpec
from runstead.store.database import Database
from runstead.tools.enclosure import node
from runstead.tools.registry import Arguments, BuiltinTool, ToolContext, ToolFailure, text_argument
from runstead.tools.sandbox import Job, Ran, Sandbox, SandboxUnavailable

_JOBS = {"python": "code", "py": "code", "js": "javascript", "javascript": "javascript"}

RUN_CODE = ToolSpec(
    "run_code",
    "Run a piece of code in a sandbox without network. Gives what it prints, and in Python the value of its last line.",
    {
        "type": "object",
        "properties": {
            "code": {"type": "string", "description": "The code."},
            "language": {"type": "string", "enum": ["python", "js"], "description": "Its language."},
        },
        "required": ["code", "language"],
    },
)


def code_tools(sandbox: Sandbox, *, timeout_s: float) -> tuple[BuiltinTool, ...]:
    """The tool over a sandbox."""

    async def run(arguments: Arguments, context: ToolContext, _db: Database) -> ToolOutcome:
        job = replace(_job(arguments), owner=context.agent.user_id)
        try:
            return _told(await sandbox.run(job, timeout_s=timeout_s))
        except SandboxUnavailable as why:
            raise ToolFailure(str(why)) from None

    return (BuiltinTool(RUN_CODE, run),)


def _job(arguments: Arguments) -> Job:
    """What shall be run. Raises `ToolFailure` where it cannot be run here."""
    source = text_argument(arguments, "code")
    language = text_argument(arguments, "language", default="python").lower()
    kind = _JOBS.get(language)
    if kind is None:
        raise ToolFailure(f"{language[:50]!r} cannot be run here; write it in python or js.")
    if kind == "javascript" and node() is None:
        raise ToolFailure("this server has no Node, so it cannot run JavaScript; write it in python.")
    return Job(kind, source)


def _told(ran: Ran) -> ToolOutcome:
    """What came of it, as the model reads it."""
    parts = [ran.stdout.rstrip("\n"), ran.text if ran.ok else f"Error: {ran.text}"]
    if not ran.ok:
        parts.append((ran.traceback or ran.stderr).rstrip("\n"))
    text = "\n".join(part for part in parts if part) or "It ended without printing anything."
    stderr = ran.stderr + ran.traceback
    printed = ((ran.stdout,) if ran.stdout else (), (stderr,) if stderr else ())
    return ToolOutcome("success" if ran.ok else "error", text, *printed)
