"""The commands of runs, all over the public API: list, show, watch, cancel, delete, approve, deny, export."""

from __future__ import annotations

from pathlib import Path

from runstead.cli.grammar.manual import ENDINGS, OUTCOMES, Commands, Manual, as_json, to_server

STATUSES = ("created", "running", "completed", "failed", "cancelled")
STOP_REASONS = (
    "end_turn",
    "error",
    "llm_api_error",
    "invalid_llm_response",
    "invalid_tool_call",
    "max_steps",
    "max_tokens_exceeded",
    "no_tool_call",
    "tool_rule",
    "cancelled",
    "insufficient_credits",
    "requires_approval",
    "context_window_overflow_in_system_prompt",
)
LISTED = 50
PATIENCE_S = 300.0


def add(commands: Commands) -> None:
    """Add them."""
    runs = commands.group(
        "runs",
        "list, watch and steer runs",
        "See and steer the runs of a server, here or elsewhere, over its public API.",
    )
    _list(runs)
    _show(runs)
    _watch(runs)
    _cancel(runs)
    _delete(runs)
    _answer(runs, "approve", "let the tool calls that a run waits for happen", "Approve")
    _answer(runs, "deny", "refuse the tool calls that a run waits for", "Deny")
    _export(runs)


def _list(runs: Commands) -> None:
    listing = runs.add(
        "list",
        "runstead.cli.runs.listing",
        "list runs, newest first",
        """List runs, newest first: id, status, agent, age, duration, tokens, why each ended, and in what time
        the server answers what it asks. On a terminal it is a
        table; in a pipe each run is a line of columns separated by tabs, after a line of their names.""",
        examples=(
            "runstead runs list --active",
            "runstead runs list --asking",
            "runstead runs list --status failed --agent ada --limit 10",
            "runstead runs list --json | jq -r .id",
        ),
    )
    listing.add_argument(
        "--status",
        action="append",
        choices=STATUSES,
        help="only runs in this status; may be given several times",
    )
    listing.add_argument(
        "--active", action="store_true", help="only runs that are not over (created, running)"
    )
    listing.add_argument("--asking", action="store_true", help="only runs that wait for an approval")
    listing.add_argument("--agent", metavar="AGENT", help="only runs of this agent: its id or its name")
    listing.add_argument("--conversation", metavar="ID", help="only runs of this conversation")
    listing.add_argument(
        "--stop-reason", choices=STOP_REASONS, metavar="REASON", help="only runs that ended for it"
    )
    listing.add_argument(
        "--limit", type=int, default=LISTED, metavar="N", help=f"at most so many (default {LISTED})"
    )
    as_json(listing, "each run as a line of JSON")
    to_server(listing)


def _show(runs: Commands) -> None:
    show = runs.add(
        "show",
        "runstead.cli.runs.show",
        "say everything about a run",
        """Say everything about a run: its status and why, its times and usage, each step with its attempt and tokens, its
        messages, and the error where it failed.""",
        examples=("runstead runs show run-…", "runstead runs show run-… --json | jq .run.status"),
    )
    _run(show)
    as_json(show, "one JSON document: run, steps, messages")
    to_server(show)


def _watch(runs: Commands) -> None:
    watch = runs.add(
        "watch",
        "runstead.cli.runs.watch",
        "follow a run as it happens; end as it ends",
        """Follow a run: what was said so far comes at once, what is new as it is said. When the connection or the server
        goes away, it comes back and goes on after the last event it saw, so that nothing is lost or shown twice. The exit
        code is the run's outcome. Ctrl-C leaves the run alone.

        A run that was not started in the background keeps no stream that others may join: its messages are shown as each
        is complete.""",
        examples=(
            "runstead runs watch run-…",
            "runstead runs watch run-… --tail",
            "runstead runs watch run-… --json | jq -r .message_type",
        ),
        endings=OUTCOMES,
    )
    _run(watch)
    start = watch.add_mutually_exclusive_group()
    start.add_argument(
        "--after", type=int, default=0, metavar="N", help="begin after event number N (default 0: all)"
    )
    start.add_argument(
        "--tail", action="store_true", help="begin where the run is now: at its last finished step"
    )
    watch.add_argument(
        "--patience",
        type=float,
        default=PATIENCE_S,
        metavar="SECONDS",
        help=f"how long to wait for a server that went away (default {PATIENCE_S:g})",
    )
    as_json(watch, "each event as a line of JSON")
    to_server(watch)


def _cancel(runs: Commands) -> None:
    cancel = runs.add(
        "cancel",
        "runstead.cli.runs.cancel",
        "end runs that are not over",
        "End runs that are not over, in whatever state they are. What they did so far stays.",
        examples=(
            "runstead runs cancel run-…",
            "runstead runs cancel $(runstead runs list --active --json | jq -r .id)",
        ),
        endings={0: "all of them are cancelled", 1: "at least one had ended before", 2: ENDINGS[2]},
    )
    cancel.add_argument("run", nargs="+", metavar="RUN", help="a run's id")
    as_json(cancel, "what became of each as a line of JSON")
    to_server(cancel)


def _delete(runs: Commands) -> None:
    delete = runs.add(
        "delete",
        "runstead.cli.runs.delete",
        "delete runs and their events for good",
        """Delete runs with their events, ending them first where they are not over. Their messages stay in the agent's
        history. Asks first; where there is nobody to ask, it wants --yes.""",
        examples=("runstead runs delete run-…", "runstead runs delete --yes run-… run-…"),
        endings={0: "deleted", 1: "you said no", 2: ENDINGS[2]},
    )
    delete.add_argument("run", nargs="+", metavar="RUN", help="a run's id")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    as_json(delete, "each run as it was as a line of JSON")
    to_server(delete)


def _answer(runs: Commands, name: str, brief: str, word: str) -> None:
    others = "the others are denied" if name == "approve" else "which must be all that wait"
    answer = runs.add(
        name,
        "runstead.cli.runs.answer",
        brief,
        f"""{word} the tool calls that a run waits for. All calls of a run are answered at once: without --call all of
        them are meant. The answer makes a new run, whose id is printed and which can be watched.""",
        examples=(
            f"runstead runs {name} run-…",
            f'runstead runs {name} run-… --reason "{"fine" if name == "approve" else "ask finance first"}"',
            f"runstead runs watch $(runstead runs {name} run-…)",
        ),
    )
    _run(answer)
    answer.add_argument("--reason", metavar="TEXT", help="what the agent is told about it (default nothing)")
    answer.add_argument(
        "--call",
        action="append",
        metavar="CALL_ID",
        help=f"only this call, {others}; may be given several times",
    )
    as_json(answer, "the new run as a line of JSON")
    to_server(answer)


def _export(runs: Commands) -> None:
    export = runs.add(
        "export",
        "runstead.cli.runs.export",
        "write all of a run as one JSON document",
        """Write all that is known of a run as one JSON document: the run, its messages, its steps and its events. A run that
        was not started in the background, or whose events are no longer kept, has `null` for events and says why. Of a
        run that is not over it is what is durable so far.""",
        examples=(
            "runstead runs export run-… --out run.json",
            "runstead runs export run-… | jq '.events | length'",
        ),
    )
    _run(export)
    export.add_argument(
        "--out", type=Path, metavar="FILE", help="write it to this file (default: standard output)"
    )
    to_server(export)


def _run(parser: Manual) -> None:
    parser.add_argument(
        "run", metavar="RUN", help="the run's id, as `runstead runs list` shows it, or its beginning"
    )
