"""`runstead chat`: talk to an agent. Each message is a background run that is watched; approvals are asked in place.

From a terminal it is a prompt with line editing, from a pipe each line is a message. Leaving never ends a run.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING

from runstead.cli.client import ApiClient, connect
from runstead.cli.following import Away
from runstead.cli.grammar.runs import PATIENCE_S
from runstead.cli.measures import COMPLETED, WAITING
from runstead.cli.pending import pending
from runstead.cli.received import ShownCall
from runstead.cli.runs.answer import answer
from runstead.cli.runs.listing import HEAD, RIGHT, rows
from runstead.cli.runs.watch import LEFT, watch
from runstead.cli.screen import cell, note, printable, table
from runstead.cli.telling import view_for
from runstead.clock import SystemClock
from runstead.errors import RunsteadError, Unavailable
from runstead.ids import RandomIds

if TYPE_CHECKING:
    from runstead.api.wire.agents import AgentState
    from runstead.api.wire.runs import RunState

NEWEST = 10
HELP = "/runs lists the newest runs, /watch goes back to the last one, /cancel ends what is not over, /quit leaves"


def run(given: Namespace) -> int:
    """Talk until the input ends."""
    with connect(given) as client:
        agent = client.agent_named(given.agent)
        chat = Chat(client, agent, as_json=given.json)
        return chat.typed() if sys.stdin.isatty() and sys.stdout.isatty() else chat.piped()


class Chat:
    """One conversation with one agent."""

    def __init__(self, client: ApiClient, agent: AgentState, *, as_json: bool) -> None:
        self._client = client
        self._agent = agent
        self._json = as_json
        self._last: str | None = None
        self._names: dict[str, str] = {}
        self._silent = {COMPLETED}
        self._commands: Mapping[str, Callable[[], None]] = {
            "/runs": self._runs,
            "/watch": self._watch_last,
            "/cancel": self._cancel,
            "/help": lambda: note(HELP),
        }

    def piped(self) -> int:
        """A message a line; gives how the last run ended that did not complete. A question to a person ends it."""
        code = COMPLETED
        for line in sys.stdin:
            if not line.strip():
                continue
            ended = self._say(line.rstrip("\n"))
            code = ended or code
            if ended in {WAITING, LEFT}:
                return ended
        return code

    def typed(self) -> int:
        """At the prompt."""
        self._silent.add(WAITING)  # what waits is asked about at once
        import_module("readline")  # input() edits lines and remembers them from then on
        note(
            f"talking to {cell(self._agent['name'])} ({cell(self._agent['model'])}); /help says what else there is"
        )
        if self._agent["pending_approval"] is not None:
            self._answer(str(self._agent["pending_approval"].get("run_id")))
        for line in self._lines():
            word = line.strip()
            if word == "/quit":
                break
            try:
                if word in self._commands:
                    self._commands[word]()
                elif word.startswith("/"):
                    note(f"{cell(word)} is no command; {HELP}")
                elif word:
                    self._converse(line)
            except RunsteadError as error:
                note(error.detail)
            except KeyboardInterrupt:
                note("interrupted; /runs shows whether the message was taken")
        return COMPLETED

    def _lines(self) -> Iterator[str]:
        while True:
            try:
                yield input("you > ")
            except EOFError:
                print()
                return
            except KeyboardInterrupt:
                print()
                note("/quit or Ctrl-D leaves")

    def _converse(self, text: str) -> None:
        if self._say(text) == WAITING:
            self._answer(self._last)

    def _say(self, text: str) -> int:
        key = RandomIds().uuid()
        away = Away(note, SystemClock(), PATIENCE_S)
        self._last = None
        while self._last is None:
            try:
                self._last = self._client.send(self._agent["id"], {"role": "user", "content": text}, key)
            except Unavailable as error:
                # The key makes it the same message: sent again, it is the same run.
                away.wait(error.detail)
        return self._watch(self._client.run(self._last))

    def _watch(self, found: RunState) -> int:
        view = view_for(as_json=self._json, brief=True, names=self._names)
        return watch(self._client, found, 0, PATIENCE_S, view, silent=self._silent)

    def _answer(self, run_id: str | None) -> None:
        """Ask the person about every call that waits, as often as the agent asks."""
        while run_id and (calls := pending(self._client, run_id)):
            self._names |= {call.id: call.name for call in calls}
            verdicts, reason = _asked(calls)
            if verdicts is None:
                note(f"left unanswered; `runstead runs approve {run_id}` or deny answers it")
                return
            run_id = self._last = answer(self._client, self._client.run(run_id), verdicts, reason)
            if self._watch(self._client.run(run_id)) != WAITING:
                return

    def _runs(self) -> None:
        found = list(self._client.runs(NEWEST, agent_id=self._agent["id"]))
        table(HEAD, rows(found, {self._agent["id"]: self._agent["name"]}, SystemClock().now()), right=RIGHT)

    def _watch_last(self) -> None:
        if self._last is None:
            self._last = next((each["id"] for each in self._client.runs(1, agent_id=self._agent["id"])), None)
        if self._last is None:
            note("there is no run yet")
        elif self._watch(self._client.run(self._last)) == WAITING:
            self._answer(self._last)

    def _cancel(self) -> None:
        active = list(self._client.runs(NEWEST, agent_id=self._agent["id"], active=True))
        for each in active:
            note(f"{each['id']}: {self._client.cancel(each)}")
        if not active:
            note("nothing is running")


def _asked(calls: list[ShownCall]) -> tuple[dict[str, bool] | None, str | None]:
    """A person's verdicts and the reason for a denial; None where they would rather not say."""
    verdicts: dict[str, bool] = {}
    for call in calls:
        try:
            said = input(f"let {printable(call.name)}({cell(call.arguments)}) happen? [y/n] ").strip().lower()
        except (EOFError, KeyboardInterrupt):
            print()
            return None, None
        verdicts[call.id] = said in {"y", "yes"}
    if all(verdicts.values()):
        return verdicts, None
    return verdicts, input("reason (may be empty) > ").strip() or None
