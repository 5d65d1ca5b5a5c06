"""A small client of the public API: what the commands ask of a server, here or elsewhere, as plain JSON.

Whatever goes wrong becomes one of `errors` with a sentence that says what to do: nobody there, no key, an unknown id. It
holds no state of a run and repeats nothing by itself: who follows a run across a restart is `following`.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, cast
from urllib.parse import urlsplit

import httpx
import orjson

from runstead import __version__
from runstead.cli.received import Event, events_in
from runstead.errors import (
    Conflict,
    Forbidden,
    Gone,
    Invalid,
    NotFound,
    NotImplementedHere,
    RunsteadError,
    TooLarge,
    Unauthenticated,
    Unavailable,
    Unprocessable,
)
from runstead.settings import LOOPBACK, ClientSettings, client_from_environment

if TYPE_CHECKING:
    from runstead.api.wire.agents import AgentState
    from runstead.api.wire.messages import MessageState
    from runstead.api.wire.models import ModelState
    from runstead.api.wire.runs import RunState
    from runstead.api.wire.steps import StepState

Json = dict[str, Any]
CONNECT_S_MAX = 5.0
ANSWER_S_MAX = 60.0
# Longer than a server is silent between two pings, so that silence means that nobody is there.
SILENCE_S_MAX = 90.0
PAGE_MAX = 500
NAMES_LOOKED_UP_MAX = 1000
AGENT_ID = "agent-"

_ERRORS: Mapping[int, type[RunsteadError]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: TooLarge,
    422: Unprocessable,
    501: NotImplementedHere,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}
# An id of a run; less than `run-` and four signs of it is not looked for.
RUN_CHARS = 40
RUN_CHARS_MIN = 8
RUNS_LOOKED_AT = 1000
_HINTS: Mapping[int, str] = {
    401: "Give a key with RUNSTEAD_KEY or --key; `runstead keys create NAME`, where the server's data is, makes one.",
    403: "Use a key that may, or leave it.",
}


def connect(given: Namespace) -> ApiClient:
    """A client of the server that the command line or the environment names."""
    return ApiClient(client_from_environment(url=given.url, key=given.key))


class ApiClient:
    """Speaks to one server. A context manager."""

    def __init__(self, settings: ClientSettings, *, answer_s_max: float = ANSWER_S_MAX) -> None:
        self.url = settings.url
        headers = {"user-agent": f"runstead/{__version__}"}
        if settings.key is not None:
            headers["authorization"] = f"Bearer {settings.key.reveal()}"
        self._http = httpx.Client(
            base_url=settings.url,
            headers=headers,
            timeout=httpx.Timeout(answer_s_max, connect=CONNECT_S_MAX),
            # The way to a server on this machine never leads through a proxy.
            trust_env=urlsplit(settings.url).hostname not in LOOPBACK,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        body: object = None,
        params: Mapping[str, Any] | None = None,
        hint: str = "",
    ) -> Any:
        """The JSON of an answer. `hint` says what to do where the thing is not there. Raises what `errors` has for it."""
        content = None if body is None else orjson.dumps(body)
        headers = {} if body is None else {"content-type": "application/json"}
        given = {name: value for name, value in (params or {}).items() if value is not None}
        try:
            answer = self._http.request(method, path, content=content, headers=headers, params=given)
        except httpx.HTTPError as error:
            raise self._lost(error) from error
        if answer.is_error:
            self._refuse(answer, hint)
        try:
            return orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            raise Invalid(
                f"What answers at {self.url} is no Runstead: it does not speak JSON. Check --url and RUNSTEAD_URL."
            ) from None

    def stream(self, path: str, body: Json, hint: str = "") -> Generator[Event | None]:
        """The events of one streaming answer, as they come; None is the end of the run. Raises as `ask` does."""
        timeout = httpx.Timeout(SILENCE_S_MAX, connect=CONNECT_S_MAX)
        try:
            with self._http.stream("POST", path, json=body, timeout=timeout) as answer:
                if answer.is_error:
                    answer.read()
                    self._refuse(answer, hint)
                yield from events_in(answer.iter_lines())
        except httpx.HTTPError as error:
            raise self._lost(error) from error

    # --- runs ------------------------------------------------------------------------------------------------------

    def runs(self, limit: int, **filters: Any) -> Iterator[RunState]:
        """Runs, newest first."""
        yield from self._pages("/v1/runs/", limit, filters)

    def run(self, run_id: str) -> RunState:
        """One run, by its id or by what its id begins with."""
        if not RUN_CHARS_MIN <= len(run_id) < RUN_CHARS or not run_id.startswith("run-"):
            return cast("RunState", self.ask("GET", f"/v1/runs/{run_id}", hint=_no_run(run_id)))
        found = [run for run in self.runs(RUNS_LOOKED_AT) if run["id"].startswith(run_id)]
        if len(found) > 1:
            more = ", ".join(run["id"] for run in found[:3])
            raise Invalid(f"{run_id!r} begins several runs' ids ({more}, …): type more of it.")
        if not found:
            raise NotFound(
                f"None of the newest {RUNS_LOOKED_AT:,} runs has an id that begins with {run_id!r}; type all of it."
            )
        return found[0]

    def asked(self, run_id: str) -> Json | None:
        """The message with which a run asks, if nobody has answered it yet."""
        params = {"include": "runstead.pending_approval"}
        found = self.ask("GET", f"/v1/runs/{run_id}", params=params, hint=_no_run(run_id))
        return cast("Json | None", found.get("pending_approval"))

    def messages(self, run_id: str) -> list[MessageState]:
        """Everything that was said and done in a run, in its order."""
        found: list[MessageState] = []
        cursor: str | None = None
        while True:
            params = {"limit": PAGE_MAX, "order": "asc", "after": cursor}
            page = self.ask("GET", f"/v1/runs/{run_id}/messages", params=params, hint=_no_run(run_id))
            found += cast("list[MessageState]", page)
            # A stored message may be several here, so a page is the last one only where it is short in stored ones.
            if len({message["id"] for message in page}) < PAGE_MAX:
                return found
            cursor = str(page[-1]["id"])

    def steps(self, run_id: str) -> list[StepState]:
        """A run's steps, in their order."""
        return list(self._pages(f"/v1/runs/{run_id}/steps", None, {"order": "asc"}))

    def events(self, run_id: str, after: int) -> Generator[Event | None]:
        """The events of a background run after a number, over one connection; None is the end of the run."""
        yield from self.stream(f"/v1/runs/{run_id}/stream", {"starting_after": after}, _no_run(run_id))

    def cancel(self, run: RunState) -> str:
        """End a run; gives what became of it: `cancelled`, or `failed` where it had ended otherwise."""
        path = f"/v1/agents/{run['agent_id']}/messages/cancel"
        return str(self.ask("POST", path, {"run_ids": [run["id"]]})[run["id"]])

    def delete_run(self, run_id: str) -> RunState:
        """Delete a run; gives it as it was."""
        return cast("RunState", self.ask("DELETE", f"/v1/runs/{run_id}", hint=_no_run(run_id)))

    def send(self, agent_id: str, message: Json, key: str, conversation_id: str | None = None) -> str:
        """Send one message in the background; gives the id of its run. The same `key` gives the same run again."""
        path = f"/v1/agents/{agent_id}/messages/stream"
        if conversation_id is not None:
            path = f"/v1/conversations/{conversation_id}/messages"
        body = {"messages": [{**message, "otid": key}], "background": True, "stream_tokens": True}
        with closing(self.stream(path, body, _no_agent(agent_id))) as events:
            for event in events:
                if event is not None:
                    return str(event.body["run_id"])
        raise Unavailable(
            "The server took the message but did not say which run it made; look with `runstead runs list`."
        )

    # --- agents ----------------------------------------------------------------------------------------------------

    def agents(self, limit: int, **filters: Any) -> Iterator[AgentState]:
        """Agents, newest first."""
        yield from self._pages("/v1/agents/", limit, filters)

    def agent(self, agent_id: str) -> AgentState:
        """One agent by its id, with what waits for an approval."""
        params = {"include": "agent.pending_approval"}
        return cast(
            "AgentState", self.ask("GET", f"/v1/agents/{agent_id}", params=params, hint=_no_agent(agent_id))
        )

    def agent_named(self, name: str) -> AgentState:
        """One agent by its id or its name. Raises `NotFound`, or `Conflict` where several are called so."""
        if name.startswith(AGENT_ID):
            return self.agent(name)
        found = list(self.agents(PAGE_MAX, name=name))
        if not found:
            raise NotFound(f"There is no agent {name!r}. {_LIST_AGENTS}")
        if len(found) > 1:
            ids = ", ".join(agent["id"] for agent in found)
            raise Conflict(f"{len(found)} agents are called {name!r}; name one by its id: {ids}.")
        return self.agent(found[0]["id"])

    def names(self, agent_ids: set[str]) -> Mapping[str, str]:
        """The names of these agents, of those that are still there and among the newest."""
        if not agent_ids:
            return {}
        found = self.agents(NAMES_LOOKED_UP_MAX, include_relationships="")
        return {agent["id"]: agent["name"] for agent in found if agent["id"] in agent_ids}

    def create_agent(self, body: Json) -> AgentState:
        """Make an agent."""
        return cast("AgentState", self.ask("POST", "/v1/agents/", body))

    def delete_agent(self, agent_id: str) -> None:
        """Delete an agent with its history."""
        self.ask("DELETE", f"/v1/agents/{agent_id}", hint=_no_agent(agent_id))

    def models(self) -> list[ModelState]:
        """The models that the server has."""
        return cast("list[ModelState]", self.ask("GET", "/v1/models/"))

    # --- inside ----------------------------------------------------------------------------------------------------

    def _pages(self, path: str, limit: int | None, filters: Mapping[str, Any]) -> Iterator[Any]:
        """The items of a list, page by page, up to a limit."""
        left, cursor = limit, None
        while left is None or left > 0:
            size = PAGE_MAX if left is None else min(left, PAGE_MAX)
            page = cast(
                "Sequence[Json]", self.ask("GET", path, params={**filters, "limit": size, "after": cursor})
            )
            yield from page
            if len(page) < size:
                return
            left = None if left is None else left - size
            cursor = page[-1]["id"]

    def _lost(self, error: httpx.HTTPError) -> RunsteadError:
        if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
            return Unavailable(
                f"No server answers at {self.url} ({error}). Start one with `runstead serve`, or say where it is with"
                " --url or RUNSTEAD_URL."
            )
        if isinstance(error, httpx.UnsupportedProtocol | httpx.TooManyRedirects):
            return Invalid(f"{self.url} is no server's URL ({error}); check --url and RUNSTEAD_URL.")
        return Unavailable(
            f"The connection to {self.url} was lost ({error or type(error).__name__}); try again."
        )

    def _refuse(self, answer: httpx.Response, hint: str) -> NoReturn:
        said = _detail(answer)
        more = hint if answer.status_code == 404 else _HINTS.get(answer.status_code, "")
        kind = _ERRORS.get(answer.status_code, RunsteadError)
        told = said or f"The server at {self.url} answered {answer.status_code}."
        raise kind(f"{told.rstrip('.')}. {more}".strip())


_LIST_AGENTS = "`runstead agents list` shows those that there are."


def _no_run(run_id: str) -> str:
    return f"There is no run {run_id!r} that you may see; `runstead runs list` shows those that there are."


def _no_agent(agent_id: str) -> str:
    del agent_id  # the server's own words name it
    return _LIST_AGENTS


def _detail(answer: httpx.Response) -> str:
    """What a refusal says, in one line."""
    try:
        detail = orjson.loads(answer.content)["detail"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return ""
    if isinstance(detail, list):
        told = (
            f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in cast("list[Json]", detail)
        )
        return "; ".join(told)
    if isinstance(detail, dict):
        return str(cast("Json", detail).get("message", ""))
    return " ".join(str(detail).split())
