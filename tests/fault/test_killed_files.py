"""A server killed while it reads a file: the next one over the same folder reads it, whole and once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.outside import model
from tests.serving import Client, Server, until
from tests.story_model import StoryModel

__all__ = ["model"]
pytestmark = pytest.mark.slow
# Tags in tags: a while of work, in a process that ends with nobody to answer.
DEEP = b"<div>" * 10_000 + b"A cup of tea at five."
READ_S = 45.0


def test_a_file_is_read_after_a_kill(folder: Path, model: StoryModel) -> None:
    """SIGKILL while its text is made; what was uploaded meanwhile is read too."""
    with Server(folder, model.url) as server:
        with server.client() as client:
            made = client.ask("POST", "/v1/folders/", {"name": "notes"})["id"]
            deep = uploaded(client, made, "deep.html", DEEP)
            until(lambda: status(client, made, deep) != "pending", READ_S, "the reading")
            late = uploaded(client, made, "late.txt", b"A cup of coffee at six.")
            server.kill()
        server.start()
        with server.client() as client:
            for file in (deep, late):
                until(
                    lambda file=file: status(client, made, file) == "completed", READ_S, "a file that is read"
                )
            passages = client.ask("GET", f"/v1/folders/{made}/passages?order=asc")
            assert [each["text"] for each in passages] == [
                "A cup of tea at five.",
                "A cup of coffee at six.",
            ]


def uploaded(client: Client, folder: str, name: str, body: bytes) -> str:
    """The id of a file that came."""
    answer = client.http.post(f"/v1/folders/{folder}/upload", files={"file": (name, body)})
    assert answer.status_code == 200, answer.text
    return answer.json()["id"]


def status(client: Client, folder: str, file: str) -> str:
    """How far the reading of a file is."""
    return client.ask("GET", f"/v1/folders/{folder}/files/{file}")["processing_status"]
