"""The sandbox's own promises: which fence is chosen, what code finds in it, and what comes back. Escapes are `fault/`."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from runstead.errors import Invalid
from runstead.settings import Settings, from_environment
from runstead.tools.sandbox import FenceKind, Job, Sandbox, SandboxUnavailable

# Each starts processes.
pytestmark = pytest.mark.slow


@pytest.fixture
def sandbox(tmp_path: Path) -> Sandbox:
    """Whatever fence this machine has."""
    return Sandbox(Settings(data_dir=tmp_path))


async def test_code_has_its_arguments_and_a_place_to_write(sandbox: Sandbox) -> None:
    """Arguments by name, a home, the standard library, async functions, and what it prints apart."""
    source = """
import sys
async def f(a, *, b=2, **_):
    print("out"); print("err", file=sys.stderr)
    with open("here", "w") as file: file.write("x")
    return {"sum": a + b}
"""
    ran = await sandbox.run(Job("call", source, "f", {"a": 1}), timeout_s=60)
    assert (ran.ok, ran.text, ran.stdout, ran.stderr) == (True, '{"sum": 3}', "out\n", "err\n")
    nothing = await sandbox.run(Job("call", "def f(): ...", "f"), timeout_s=60)
    assert nothing.text == "None"
    missing = await sandbox.run(Job("call", "def f(): ...", "g"), timeout_s=60)
    assert "no function named g" in missing.text


async def test_nested_arguments_are_objects(sandbox: Sandbox) -> None:
    """With a schema of the arguments, members are attributes, in lists too, and annotations may name anything."""
    schema = {
        "properties": {
            "data": {"anyOf": [{"$ref": "#/$defs/Data"}, {"type": "null"}]},
            "many": {"type": "array", "items": {"$ref": "#/$defs/Data"}},
            "free": {"type": "object"},
        },
        "$defs": {
            "Data": {"properties": {"inner": {"$ref": "#/$defs/Inner"}}},
            "Inner": {"properties": {"x": {}}},
        },
    }
    source = "def f(data: Nowhere, many: List[Data], free):\n    return data.inner.x + many[0].inner['x'] + free['x']"
    inner = {"inner": {"x": 1}}
    job = Job("call", source, "f", {"data": inner, "many": [inner], "free": {"x": 5}}, schema)
    ran = await sandbox.run(job, timeout_s=60)
    assert (ran.ok, ran.text) == (True, "7")


@pytest.mark.slow
async def test_arguments_are_what_their_annotations_name(sandbox: Sandbox) -> None:
    """Times, sets and the like; what does not fit is handed over as it came."""
    source = (
        "from datetime import date, datetime\nfrom decimal import Decimal\n"
        "def f(at: datetime, days: list[date], some: set[int], two: tuple[int, str], price: Decimal | None,"
        " odd: date, text: str, plain: list[str]) -> str:\n"
        "    return repr((at.year, days[0].day, some, two, price, odd, text, plain))"
    )
    arguments: dict[str, object] = {
        "at": "2026-01-02T03:04:05Z",
        "days": ["2026-01-07"],
        "some": [1, 1],
        "two": [1, "x"],
        "price": "1.50",
        "odd": "tomorrow",
        "text": "2026-01-02",
        "plain": ["2026-01-02"],
    }
    ran = await sandbox.run(Job("call", source, "f", arguments), timeout_s=30)
    told = "(2026, 7, {1}, (1, 'x'), Decimal('1.50'), 'tomorrow', '2026-01-02', ['2026-01-02'])"
    assert told == ran.text


async def test_an_error_shows_the_users_lines_only(sandbox: Sandbox) -> None:
    """Neither the program around them nor the standard library's."""
    source = "import json\ndef g(x):\n    return json.loads(x)\ndef f():\n    return g('{')"
    ran = await sandbox.run(Job("call", source, "f"), timeout_s=60)
    assert ran.text.startswith("JSONDecodeError: ")
    assert 'File "tool.py", line 3, in g' in ran.traceback
    assert 'File "tool.py", line 5, in f' in ran.traceback
    assert "program.py" not in ran.traceback
    assert "json/decoder" not in ran.traceback
    broken = await sandbox.run(Job("call", "def f(:", "f"), timeout_s=60)
    assert broken.text.startswith("SyntaxError: ")


async def test_code_ends_with_the_value_of_its_last_line(sandbox: Sandbox) -> None:
    """As one expects of an interpreter."""
    for code, text in (("x = 2\nx + 1", "3"), ("x = 2", ""), ("", ""), ("None", ""), ("'a'", "'a'")):
        ran = await sandbox.run(Job("code", code), timeout_s=60)
        assert (ran.ok, ran.text) == (True, text)


async def test_the_agents_variables_are_the_environment(sandbox: Sandbox) -> None:
    """Even names that would steer the programs around it reach the code only."""
    given = {"LD_PRELOAD": "/nowhere.so", "PYTHONPATH": "/nowhere", "KEY": "k"}
    job = Job("code", "import os\nos.environ['KEY'] + os.environ['LD_PRELOAD']", environment=given)
    ran = await sandbox.run(job, timeout_s=60)
    assert (ran.text, ran.stderr) == ("'k/nowhere.so'", "")
    assert "nowhere" not in repr(job)


async def test_only_so_many_at_once(tmp_path: Path) -> None:
    """Others wait for their turn."""
    one = Sandbox(Settings(data_dir=tmp_path, sandbox_calls_max=1))
    jobs = [one.run(Job("code", str(number)), timeout_s=60) for number in range(3)]
    assert [ran.text for ran in await asyncio.gather(*jobs)] == ["0", "1", "2"]


async def test_off_is_off(tmp_path: Path) -> None:
    """No user code is run, and the error says by whose wish."""
    with pytest.raises(SandboxUnavailable, match="RUNSTEAD_SANDBOX=off"):
        await Sandbox(Settings(data_dir=tmp_path, sandbox="off")).run(Job("code", "1"), timeout_s=1)


async def test_without_bubblewrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An open server runs nothing by itself; a local one makes do; and what was asked for is never made less."""
    monkeypatch.setenv("PATH", str(tmp_path))
    python = "/usr/bin/python3"
    outside = Settings(data_dir=tmp_path, host="0.0.0.0", sandbox_python=python)
    with pytest.raises(SandboxUnavailable, match="can be reached from other machines"):
        await Sandbox(outside).kind()
    with pytest.raises(SandboxUnavailable, match="under bubblewrap only"):
        await Sandbox(Settings(data_dir=tmp_path, sandbox="bubblewrap")).kind()
    if os.access(python, os.X_OK):
        assert await Sandbox(Settings(data_dir=tmp_path, sandbox_python=python)).kind() is FenceKind.PROCESS
    broken = Settings(data_dir=tmp_path, sandbox="process", sandbox_python="/bin/false")
    with pytest.raises(SandboxUnavailable, match="cannot be started"):
        await Sandbox(broken).kind()


def test_the_setting_has_four_values() -> None:
    """Anything else is refused at the start."""
    assert from_environment({"RUNSTEAD_SANDBOX": "process"}).sandbox == "process"
    with pytest.raises(Invalid, match="RUNSTEAD_SANDBOX must be auto"):
        from_environment({"RUNSTEAD_SANDBOX": "none"})


@pytest.mark.parametrize(("heard", "ends_by"), [(True, signal.SIGXCPU), (False, signal.SIGKILL)])
def test_the_processors_time_ends_by_a_signal_that_says_so(heard: bool, ends_by: int) -> None:
    """Who does not hear it is killed a second later."""
    code = f"""
import signal
from runstead.tools.sandboxed import confine
{"" if heard else "signal.signal(signal.SIGXCPU, signal.SIG_IGN)"}
confine({{"RLIMIT_CPU": 1, "RLIMIT_CORE": 0}}, None)
while True: pass
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -ends_by
