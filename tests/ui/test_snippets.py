"""What is copied of a run is run: by a shell, by the published Python client, by the published TypeScript client."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from tests.compat.environments import NODE, packages_of, python_of
from tests.serving import Client, Server
from tests.ui.browser import Look
from tests.ui.seeds import said

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

QUESTION = 'it\'s "quoted" & $HOME\nüber 🚀'
COPYING = ["clipboard-read", "clipboard-write"]


def copied(page: Page, name: str) -> str:
    """What an entry of the menu gives."""
    page.locator(".menu summary").click()
    page.get_by_role("button", name=name, exact=True).click()
    expect(page.locator(".toast").last).to_have_text(f"{name} copied")
    return str(page.evaluate("navigator.clipboard.readText()"))


def printed(*command: str | Path, folder: Path | None = None) -> str:
    """What a command prints. It must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=folder)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def run_each(page: Page, what: str, folder: Path, heard: str) -> None:
    """Every way to do one thing runs, and hears the answer."""
    assert heard in printed("bash", "-c", copied(page, f"{what} with curl"))
    assert heard in printed(python_of(1), "-c", copied(page, f"{what} with Python"))
    home = packages_of("letta-client-1.12.1").parent
    script = home / f"{folder.name}.mjs"
    script.write_text(copied(page, f"{what} with TypeScript"), encoding="utf-8")
    try:
        assert heard in printed(NODE, script, folder=home)
    finally:
        script.unlink()


def test_following_and_asking_again_run_as_they_are(
    server: Server, client: Client, look: Look, tmp_path: Path
) -> None:
    """Quotes, lines and signs of the question survive every spelling."""
    agent = client.agent()
    run_id = said(client, agent, QUESTION)
    with look.at(f"{server.url}/#/runs/{run_id}", permissions=COPYING) as page:
        expect(page.locator(".said.assistant")).to_be_visible()
        run_each(page, "Follow", tmp_path, "You said")
        run_each(page, "Ask again", tmp_path, "You said")
    runs = client.ask("GET", f"/v1/runs/?agent_id={agent}&include=runstead.summary")
    assert [run["summary"]["input"] for run in runs] == [QUESTION] * 4


def test_a_run_of_a_conversation_is_asked_again_there(
    server: Server, client: Client, look: Look, tmp_path: Path
) -> None:
    """With a picture in it: its content is a list, which each language spells in its own way."""
    agent = client.agent()
    made = client.ask("POST", f"/v1/conversations/?agent_id={agent}", {})
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}}
    content = [{"type": "text", "text": "What is this?"}, picture]
    body = {"messages": [{"role": "user", "content": content}], "streaming": True, "background": True}
    with client.stream(f"/v1/conversations/{made['id']}/messages", body) as frames:
        list(frames)
    run_id = client.ask("GET", f"/v1/runs/?conversation_id={made['id']}")[0]["id"]
    with look.at(f"{server.url}/#/runs/{run_id}", permissions=COPYING) as page:
        expect(page.locator("img.picture")).to_be_visible()
        expect(page.get_by_role("img", name="Picture in the message")).to_be_visible()
        run_each(page, "Ask again", tmp_path, "You said")
    assert len(client.ask("GET", f"/v1/runs/?conversation_id={made['id']}")) == 4


PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
