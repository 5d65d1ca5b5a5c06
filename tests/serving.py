"""A real `runstead serve` in a process of its own, and a client of it: the harness of every test from outside.

It starts on a free port of 127.0.0.1 with a data folder of its own, can be stopped, killed and started again over the same
folder, and ends with the log of the process in the failure's text. It never reaches into the server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import httpx
from tests.ports import free_port
from tests.sse import Frame, parse

Json = dict[str, Any]
START_S = 90.0
STOP_S = 60.0
# Until a wait is given up: only what hangs takes so long, however slow the machine is.
WAIT_S = 45.0
POLL_S = 0.01
_KEPT = ("PATH", "LANG", "LC_ALL", "TMPDIR", "COVERAGE_PROCESS_START")


def until(holds: Callable[[], bool], deadline_s: float = WAIT_S, what: str = "it") -> None:
    """Wait until something holds. Raises `AssertionError` at the deadline."""
    pause = threading.Event()
    deadline = time.monotonic() + deadline_s
    while not holds():
        assert time.monotonic() < deadline, f"{what} did not come true within {deadline_s} s"
        pause.wait(POLL_S)


class Server:
    """One server process over one data folder. A context manager; the exit asserts that it stopped in order."""

    def __init__(self, folder: Path, model_url: str, **settings: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.log_file = folder / "server.log"
        self._settings = settings
        self._model_url = model_url
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        if self.running:
            code = self.stop()
            assert kind is not None or code == 0, f"exit code {code}\n{self.log}"

    @property
    def url(self) -> str:
        """The server's base URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        """All that the process wrote, over all its starts."""
        return self.log_file.read_text(errors="replace") if self.log_file.exists() else ""

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Start the process and wait until it answers."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", "runstead", "serve",
            "--port", str(self.port),
        ]  # fmt: skip
        if "RUNSTEAD_DATABASE_URL" not in self._settings:
            command += ["--data-dir", str(self.folder / "data")]
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
            )
        until(self._answers, START_S, "the server's first answer")
        return self

    def stop(self, within_s: float = STOP_S) -> int:
        """SIGTERM; gives the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"SIGTERM was not enough within {within_s} s\n{self.log}") from None

    def terminate(self) -> None:
        """SIGTERM, without waiting."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait_gone(self) -> int:
        """Wait for the process's end; gives the exit code."""
        assert self._process is not None
        return self._process.wait(STOP_S)

    def kill(self) -> None:
        """SIGKILL: no warning, no farewell."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    @property
    def pid(self) -> int:
        """The process's number; 0 where it was never started."""
        return 0 if self._process is None else self._process.pid

    def pause(self) -> None:
        """SIGSTOP: it does nothing, and nobody is told; its connections stay open."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT: it goes on and does not know that it slept."""
        os.kill(self.pid, signal.SIGCONT)

    def client(self, **headers: str) -> Client:
        """A client of this server; `headers` go with each of its requests (underscores stay)."""
        return Client(self.url, headers)

    def _answers(self) -> bool:
        assert self.running, f"the server ended at its start\n{self.log}"
        try:
            return httpx.get(f"{self.url}/v1/health/", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def _environment(self) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        return {
            **kept,
            "HOME": str(self.folder),
            "OPENAI_BASE_URL": self._model_url,
            "OPENAI_API_KEY": "not-a-secret",
            **self._settings,
        }


class Client:
    """Speaks the REST API; answers are plain JSON. A context manager."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.http = httpx.Client(
            base_url=url, headers={"user-agent": "runstead-tests", **headers}, timeout=WAIT_S
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        where: TracebackType | None,
    ) -> None:
        self.http.close()

    def ask(self, method: str, path: str, body: object = None, **options: Any) -> Any:
        """The JSON of a 2xx answer; anything else fails the test with its text."""
        answer = self.http.request(method, path, json=body, **options)
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def refused(self, method: str, path: str, body: object = None, **options: Any) -> httpx.Response:
        """The answer that is expected to be no success."""
        answer = self.http.request(method, path, json=body, **options)
        assert not answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer

    def agent(self, **fields: object) -> str:
        """A new agent's id; it uses the story model."""
        body = {"name": "tester", "model": "openai/story", "include_base_tools": False, **fields}
        return str(self.ask("POST", "/v1/agents/", body)["id"])

    def run(self, run_id: str) -> Json:
        """A run as it is now."""
        return cast("Json", self.ask("GET", f"/v1/runs/{run_id}"))

    def wait_status(self, run_id: str, *statuses: str, deadline_s: float = WAIT_S) -> Json:
        """The run, once its status is one of these."""
        until(lambda: self.run(run_id)["status"] in statuses, deadline_s, f"{run_id} {statuses}")
        return self.run(run_id)

    @contextmanager
    def stream(self, path: str, body: object, **headers: str) -> Generator[Iterator[Frame]]:
        """The events of a streaming POST as they come; leaving the block drops the connection."""
        with self.http.stream("POST", path, json=body, headers=headers) as answer:
            if not answer.is_success:
                answer.read()
            assert answer.is_success, f"POST {path}: {answer.status_code} {answer.text}"
            yield parse(answer.iter_lines())

    def sent(self, agent_id: str, content: str, **options: object) -> list[Frame]:
        """All events of one streamed message, without the pings that fill silence."""
        with self.stream(f"/v1/agents/{agent_id}/messages/stream", saying(content, **options)) as frames:
            return of_the_log(frames)

    def resumed(self, run_id: str, after: int = 0, **options: object) -> list[Frame]:
        """All events of a run after a number, from its stored stream, without the pings that fill silence."""
        body = {"starting_after": after, "include_pings": True, **options}
        with self.stream(f"/v1/runs/{run_id}/stream", body) as frames:
            return of_the_log(frames)


def of_the_log(frames: Iterable[Frame]) -> list[Frame]:
    """The events that have a number, and the end: how many pings fill the silence between them is the machine's business."""
    return [frame for frame in frames if frame.seq or frame.done]


def saying(content: str, **options: object) -> Json:
    """A request body with one user message."""
    return {"messages": [{"role": "user", "content": content}], **options}


def story(*turns: Json, mark: str = "") -> str:
    """A user message that tells the story model what to do; `mark` finds its requests again."""
    return json.dumps({"turns": turns, "mark": mark})


def tokens(count: int, pause_ms: float = 0) -> list[str | Json]:
    """`count` distinct tokens, each followed by a pause where one is asked for."""
    acts: list[str | Json] = []
    for number in range(count):
        acts.append(f"t{number} ")
        if pause_ms:
            acts.append({"pause_ms": pause_ms})
    return acts


def text_in(frames: Iterable[Frame]) -> str:
    """What the assistant says in these events, joined."""
    return "".join(str(frame.json["content"]) for frame in frames if frame.type == "assistant_message")


def run_id_in(frames: Iterable[Frame]) -> str:
    """The run that these events belong to."""
    return next(str(frame.json["run_id"]) for frame in frames if not frame.done)
