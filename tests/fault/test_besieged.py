"""A whole server whose tools are attacks: it is unharmed, other runs are on time, and nothing is left behind."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import pytest
from tests.fault.prison import SECRET, SYSTEM_PYTHON, pids_of
from tests.outside import model
from tests.serving import Server, saying, story, until
from tests.story_model import StoryModel

__all__ = ["model"]
pytestmark = pytest.mark.slow

TOOL_S = 3.0


def tool_source(body: str) -> str:
    """An attack as a tool."""
    lines = "\n    ".join(body.strip().splitlines())
    return f'def attack() -> str:\n    """Try it."""\n    {lines}\n'


@pytest.fixture
def besieged(model: StoryModel, folder: Path) -> Iterator[Server]:
    """A server of its own with a short time for tools."""
    with Server(folder, model.url, RUNSTEAD_TOOL_TIMEOUT_S=f"{TOOL_S}", OPENAI_API_KEY=SECRET) as server:
        yield server
    assert "Traceback" not in server.log
    assert SECRET not in server.log


def test_a_besieged_server_serves_others_on_time(besieged: Server) -> None:
    """While agents' tools bomb, hang and flood, every one of them gets its error, and another agent's runs are quick."""
    bombs = {
        "forks": "import os\nwhile True: os.fork()",
        "memory": "kept = []\nwhile True: kept.append(bytearray(10_000_000))",
        "hang": "while True: pass",
        "flood": "import sys\nwhile True: sys.stdout.write('x' * (1 << 20))",
        "server": f"import urllib.request; return urllib.request.urlopen('{besieged.url}/v1/agents/').read().decode()",
        "files": f"return open({str(besieged.folder / 'data' / 'runstead.db')!r}, 'rb').read().decode('latin-1')",
    }
    outcomes: dict[str, str] = {}

    def siege(name: str, body: str) -> None:
        with besieged.client() as client:
            source = tool_source(body).replace("attack", f"attack_{name}")
            client.ask("POST", "/v1/tools/", {"source_code": source})
            agent = client.agent(tools=[f"attack_{name}"])
            call = {"id": f"call_{name}", "name": f"attack_{name}", "arguments": {}}
            turns = story({"calls": [call]}, {"text": ["well"]})
            answer = client.ask("POST", f"/v1/agents/{agent}/messages", saying(turns))
            returned = next(m for m in answer["messages"] if m["message_type"] == "tool_return_message")
            outcomes[name] = f"{returned['status']}: {returned['tool_return']}"

    threads = [threading.Thread(target=siege, args=each) for each in bombs.items()]
    for thread in threads:
        thread.start()
    took_s: list[float] = []
    with besieged.client() as client:
        agent = client.agent()
        while any(thread.is_alive() for thread in threads):
            began = time.monotonic()
            client.ask("POST", f"/v1/agents/{agent}/messages", saying("hello"))
            took_s.append(time.monotonic() - began)
    for thread in threads:
        thread.join()
    assert outcomes.keys() == bombs.keys()
    for name, outcome in outcomes.items():
        assert outcome.startswith("error: "), f"{name}: {outcome}"
    # Whoever waited for the tools would wait each time.
    assert median(took_s) < TOOL_S, f"another agent's runs took {took_s}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give each call a user of its own")
def test_what_a_killed_servers_call_left_ends_with_the_next_start(model: StoryModel, folder: Path) -> None:
    """Without a name space nobody else ends its processes; what it wrote where everybody may goes, too."""
    settings = {
        "RUNSTEAD_SANDBOX": "process",
        "RUNSTEAD_SANDBOX_PYTHON": SYSTEM_PYTHON,
        "RUNSTEAD_DRAIN_S": "0",
    }
    mark = f"rs-{uuid.uuid4().hex[:10]}"
    body = f"import subprocess; subprocess.run(['/bin/sleep', '600'], env={{'MARK': {mark!r}}})"
    with Server(folder, model.url, **settings) as server:
        with server.client() as client:
            tool = client.ask("POST", "/v1/tools/", {"source_code": tool_source(body)})
            agent = client.agent(tools=[tool["name"]])
            turns = story({"calls": [{"id": "call_1", "name": tool["name"], "arguments": {}}]})
            client.ask("POST", f"/v1/agents/{agent}/messages/async", saying(turns))
        until(lambda: bool(pids_of("/bin/sleep", mark)), what="the tool's process")
        (was,) = pids_of("/bin/sleep", mark)
        server.kill()
        server.start()
        # The call that is made again is another process. Any server of this machine that starts may have been the one.
        until(lambda: was not in pids_of("/bin/sleep", mark), what="its end")
