"""Every refusal becomes a sentence that says what to do."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from tests.cli.outcome import runstead
from tests.serving import Server
from tests.story_model import StoryModel

from runstead.cli.client import ApiClient
from runstead.errors import Conflict, Forbidden, Gone, Invalid, RunsteadError, Unavailable, Unprocessable
from runstead.settings import ClientSettings, Secret


@contextmanager
def answering(status: int, body: bytes) -> Generator[ApiClient]:
    """A client of a server that answers everything so."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            del format, args

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            with ApiClient(ClientSettings(f"http://127.0.0.1:{server.server_port}")) as client:
                yield client
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body", "kind", "told"),
    [
        (403, b'{"detail":"Not yours."}', Forbidden, "Not yours. Use a key that may"),
        (409, b'{"detail":{"code":"X","message":"Busy now"}}', Conflict, "Busy now."),
        (410, b'{"detail":"Over"}', Gone, "Over."),
        (422, b'{"detail":[{"loc":["query","limit"],"msg":"too big"}]}', Unprocessable, "limit: too big."),
        (503, b"", Unavailable, "answered 503"),
        (500, b"<html>", RunsteadError, "answered 500"),
        (200, b"<html>", Invalid, "is no Runstead"),
    ],
)
def test_what_a_server_says(status: int, body: bytes, kind: type[RunsteadError], told: str) -> None:
    """In one line, with what to do."""
    with answering(status, body) as client, pytest.raises(kind) as refused:
        client.run("run-1")
    assert told in refused.value.detail
    assert "\n" not in refused.value.detail


@pytest.mark.slow
def test_a_server_that_wants_a_key(model: StoryModel, tmp_path: Path) -> None:
    """How to give one; a given one is used, and never shown."""
    with Server(tmp_path / "own", model.url, RUNSTEAD_SERVER_PASSWORD="sesame") as server:
        refused = runstead(tmp_path, "runs", "list", RUNSTEAD_URL=server.url)
        wrong = runstead(tmp_path, "runs", "list", RUNSTEAD_URL=server.url, LETTA_API_KEY="wrong-one")
        right = runstead(tmp_path, "runs", "list", RUNSTEAD_URL=server.url, RUNSTEAD_KEY="sesame")
        typed = runstead(tmp_path, "runs", "list", "--url", f"{server.url}/v1/", "--key", "sesame")
    assert (refused.code, wrong.code, right.code, typed.code) == (2, 2, 0, 0)
    assert "RUNSTEAD_KEY" in refused.error
    assert "unknown or revoked" in wrong.error
    assert "wrong-one" not in wrong.error


def test_a_name_that_does_not_resolve() -> None:
    """Nobody is there either."""
    with ApiClient(ClientSettings("http://nobody.invalid", Secret("k"))) as client:
        with pytest.raises(Unavailable, match="runstead serve"):
            client.models()
