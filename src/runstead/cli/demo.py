"""`runstead demo`: one message whose answer survives a lost connection, shown with the public API and nothing else.

It starts a server, makes an agent, sends a message in background mode, closes the socket in the middle of the answer, comes
back and checks that nothing was lost or repeated. With a provider's key or base URL in the environment a real model answers.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from argparse import Namespace
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, cast

from runstead.cli.agents.create import DEMO_MODEL, first_model
from runstead.cli.child import child_server
from runstead.cli.client import ApiClient
from runstead.cli.paint import Paint, paint_for
from runstead.cli.received import Event, Received, text_of
from runstead.settings import ClientSettings, from_environment

Json = dict[str, Any]
MESSAGE = "Tell me in a few sentences why an answer should survive a lost connection."
PIECES_BEFORE_THE_CUT = 12
AWAY_S = 0.5
ANSWER_S_MAX = 600.0
FAILED = 1


def run(given: Namespace) -> int:
    """Show it; gives 0 only where every event and every word came exactly once."""
    settings = from_environment()
    with _folder(given.data_dir) as folder, child_server(folder) as url:
        with ApiClient(ClientSettings(url, settings.server_password), answer_s_max=ANSWER_S_MAX) as client:
            return Demonstration(client, paint_for(sys.stdout)).show(given.message or MESSAGE, given.model)


@contextmanager
def _folder(given: Path | None) -> Generator[Path]:
    if given is not None:
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="runstead-demo-") as name:
        yield Path(name)


class Demonstration:
    """The story, told on standard output."""

    def __init__(self, client: ApiClient, paint: Paint) -> None:
        self._client = client
        self._paint = paint
        self._received = Received()

    def show(self, message: str, model: str | None) -> int:
        """Tell it with this message; gives the exit code. Raises what `ApiClient` does."""
        handle = model or first_model([str(each["handle"]) for each in self._client.models()])
        agent = self._client.create_agent(_agent(handle))
        self._say("dim", f"agent  {agent['id']}")
        note = "  (a demonstration that ships, no real model)" if handle == DEMO_MODEL else ""
        self._say("dim", f"model  {handle}{note}")
        print(f"{self._paint('bold', 'you >')} {message}\n{self._paint('bold', 'agent >')} ", end="")
        self._first_half(str(agent["id"]), message)
        if not self._received.done:
            self._second_half()
        print()
        return self._verdict()

    def _first_half(self, agent_id: str, message: str) -> None:
        body = {
            "messages": [{"role": "user", "content": message}],
            "stream_tokens": True,
            "background": True,
        }
        pieces = 0
        with closing(self._stream(f"/v1/agents/{agent_id}/messages/stream", body)) as events:
            for event in events:
                self._print_piece(event, "cyan")
                pieces += bool(event.text)
                if pieces >= PIECES_BEFORE_THE_CUT:
                    return  # which closes the socket

    def _second_half(self) -> None:
        cut_at = self._received.last_seq
        self._say("yellow", f"\n--- connection closed after event {cut_at}; the run goes on without us ---")
        threading.Event().wait(AWAY_S)
        self._say(
            "yellow", f"--- back: POST /v1/runs/{self._received.run_id}/stream starting_after={cut_at} ---"
        )
        path = f"/v1/runs/{self._received.run_id}/stream"
        for event in self._stream(path, {"starting_after": cut_at}):
            self._print_piece(event, "green")

    def _stream(self, path: str, body: Json) -> Generator[Event]:
        with closing(self._client.stream(path, body)) as events:
            yield from self._received.kept(events)

    def _print_piece(self, event: Event, colour: str) -> None:
        if event.text:
            print(self._paint(colour, event.text), end="", flush=True)

    def _verdict(self) -> int:
        received = self._received
        steps = self._client.steps(received.run_id)
        usage = self._client.run(received.run_id)["usage"]
        wrong = [*received.faults(), *received.errors()]
        stored = self._stored_answer()
        if stored != received.answer():
            wrong.append(f"the stored answer differs from the one that came: {stored!r}")
        print(
            f"run    {received.run_id}: {len(steps)} step(s), {usage['prompt_tokens']} tokens in,"
            f" {usage['completion_tokens']} out"
        )
        if wrong:
            self._say("red", "FAILED " + "; ".join(wrong))
            return FAILED
        print(
            f"events 1 to {received.last_seq}, none lost, none repeated; the stored answer is the one that came"
        )
        self._say("green", "OK")
        return 0

    def _stored_answer(self) -> str:
        messages = cast("list[Json]", self._client.messages(self._received.run_id))
        return "".join(text_of(each) for each in messages if each["message_type"] == "assistant_message")

    def _say(self, colour: str, text: str) -> None:
        print(self._paint(colour, text), flush=True)


def _agent(handle: str) -> Json:
    return {
        "name": "demo",
        "model": handle,
        "include_base_tools": False,
        "memory_blocks": [{"label": "persona", "value": "You answer in plain sentences, without lists."}],
    }
