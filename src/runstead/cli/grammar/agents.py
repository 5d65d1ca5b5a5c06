"""The commands of agents, all over the public API: list, show, create, delete; and chat."""

from __future__ import annotations

from runstead.cli.grammar.manual import ENDINGS, OUTCOMES, Commands, Manual, as_json, to_server

LISTED = 50


def add(commands: Commands) -> None:
    """Add them."""
    agents = commands.group(
        "agents",
        "list, make and delete agents",
        "See and make the agents of a server, here or elsewhere, over its public API.",
    )
    _list(agents)
    _show(agents)
    _create(agents)
    _delete(agents)
    _chat(commands)


def _list(agents: Commands) -> None:
    listing = agents.add(
        "list",
        "runstead.cli.agents.listing",
        "list agents, newest first",
        """List agents, newest first. On a terminal it is a table; in a pipe each agent is a line of columns separated by
        tabs, after a line of their names.""",
        examples=("runstead agents list", "runstead agents list --name ada --json | jq -r .id"),
    )
    listing.add_argument("--name", help="only agents of exactly this name")
    listing.add_argument(
        "--limit", type=int, default=LISTED, metavar="N", help=f"at most so many (default {LISTED})"
    )
    as_json(listing, "each agent as a line of JSON")
    to_server(listing)


def _show(agents: Commands) -> None:
    show = agents.add(
        "show",
        "runstead.cli.agents.show",
        "say everything about an agent",
        "Say what an agent is made of: its model, tools and memory blocks, and what waits for an approval.",
        examples=("runstead agents show ada", "runstead agents show agent-… --json | jq .blocks"),
    )
    _agent(show)
    as_json(show, "the agent as JSON")
    to_server(show)


def _create(agents: Commands) -> None:
    create = agents.add(
        "create",
        "runstead.cli.agents.create",
        "make an agent",
        """Make an agent. Its id is printed, and nothing else in a pipe. Without --model it gets the first real model that
        the server has, else the demonstration.""",
        examples=(
            "runstead agents create ada --model openai/gpt-5-mini",
            'runstead agents create ada --block "human=Likes short answers." --tool conversation_search',
        ),
    )
    create.add_argument("name", metavar="NAME", help="the agent's name")
    create.add_argument("--model", metavar="HANDLE", help="a model's handle, as provider/name")
    create.add_argument("--system", metavar="TEXT", help="its instructions (default: those of its kind)")
    create.add_argument(
        "--block", action="append", metavar="LABEL=TEXT", help="a memory block; may be given several times"
    )
    create.add_argument(
        "--tool", action="append", metavar="NAME", help="a tool's name; may be given several times"
    )
    create.add_argument(
        "--approve",
        action="append",
        metavar="TOOL",
        help="let this tool be called only when a person approved; may be given several times",
    )
    create.add_argument("--no-base-tools", action="store_true", help="leave the usual memory tools out")
    as_json(create, "the agent as JSON")
    to_server(create)


def _delete(agents: Commands) -> None:
    delete = agents.add(
        "delete",
        "runstead.cli.agents.delete",
        "delete agents with their history for good",
        """Delete agents with their history, ending their runs first. Asks first; where there is nobody to ask, it wants
        --yes.""",
        examples=("runstead agents delete ada", "runstead agents delete --yes agent-…"),
        endings={0: "deleted", 1: "you said no", 2: ENDINGS[2]},
    )
    delete.add_argument("agent", nargs="+", metavar="AGENT", help="an agent's id or name")
    delete.add_argument("--yes", action="store_true", help="do not ask")
    as_json(delete, "each agent as it was as a line of JSON")
    to_server(delete)


def _chat(commands: Commands) -> None:
    chat = commands.add(
        "chat",
        "runstead.cli.chat",
        "talk to an agent",
        """Talk to an agent. Each message is a background run that is watched: Ctrl-C or a lost connection leaves it running.
        Tool calls that want an approval are asked about in place.

        At the prompt: /runs lists the agent's newest runs, /watch goes back to the last one, /cancel ends those that are
        not over, /quit (or Ctrl-D) leaves. From a pipe each line is a message, and the answers are plain text.""",
        examples=(
            "runstead chat ada",
            'echo "What do you remember?" | runstead chat ada',
            "runstead chat agent-… --url https://agents.example.com",
        ),
        endings={
            **OUTCOMES,
            0: "all runs completed",
            1: "the last run that did not complete failed",
            3: "the last run that did not complete was cancelled",
            4: "a run waits for an approval, and nobody is there to ask",
        },
    )
    _agent(chat)
    as_json(chat, "each event as a line of JSON")
    to_server(chat)


def _agent(parser: Manual) -> None:
    parser.add_argument("agent", metavar="AGENT", help="the agent's id or name")
