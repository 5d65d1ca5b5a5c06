"""Following across a server that goes away: patience, and what is told. (Real kills: runs/test_watch.py.)"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from tests.serving import Client, Server

from runstead.cli.client import ApiClient
from runstead.cli.following import Following
from runstead.errors import NotFound
from runstead.settings import ClientSettings

pytestmark = pytest.mark.slow


@pytest.fixture
def api(server: Server) -> Iterator[ApiClient]:
    """A client of the shared server."""
    with ApiClient(ClientSettings(server.url)) as client:
        yield client


def test_from_any_event_on(api: ApiClient, ended: Callable[..., str]) -> None:
    """It remembers the last number, and says nothing where nothing happens."""
    run = api.run(ended())
    told: list[str] = []

    following = Following(api, run, 1, told.append, 1.0)
    numbers = [event.seq for event in following.events()]

    assert numbers == list(range(2, run["last_seq_id"] + 1))
    assert following.last == run["last_seq_id"]
    assert told == []


def test_a_deleted_run(api: ApiClient, ended: Callable[..., str], client: Client) -> None:
    """There is nothing to wait for."""
    run = api.run(ended())
    client.ask("DELETE", f"/v1/runs/{run['id']}")

    with pytest.raises(NotFound, match="runstead runs list"):
        list(Following(api, run, 0, lambda _text: None, 1.0).events())


def test_messages_in_pages(
    api: ApiClient, ended: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them, each once."""
    run_id = ended()
    whole = api.messages(run_id)
    monkeypatch.setattr("runstead.cli.client.PAGE_MAX", 1)

    assert api.messages(run_id) == whole
    assert len(whole) == 2
