"""User code that wants out: everything that it tries is refused, and the next call is served.

Each attack is a function as a client would send it. What it returns is what it got hold of; the attacks run under every
fence that this machine has.
"""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from tests.fault.prison import (
    ATTACK_S,
    SECRET,
    SLOW_S,
    SYSTEM_PYTHON,
    Prison,
    gone,
    pids_of,
    refused,
    resident_bytes,
    still_works,
)
from tests.processes import named

from runstead.settings import Settings
from runstead.tools.sandbox import FenceKind, Job, Sandbox, SandboxUnavailable

pytestmark = pytest.mark.slow


@pytest.fixture(params=["bubblewrap", "process"])
async def prison(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prison:
    """One of the fences, over a data folder that holds a secret, in a process that has one in its environment."""
    kind = FenceKind(request.param)
    python = SYSTEM_PYTHON if kind is FenceKind.PROCESS and os.geteuid() == 0 else ""
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "runstead.db").write_text(SECRET)
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    sandbox = Sandbox(Settings(data_dir=data, sandbox=kind.value, sandbox_python=python))
    try:
        await sandbox.kind()
    except SandboxUnavailable as why:
        pytest.skip(str(why))
    return Prison(sandbox, data, kind, f"rs-{uuid.uuid4().hex[:10]}")


async def test_the_servers_files_are_not_there(prison: Prison) -> None:
    """Neither the database nor the keys, by name, by link, or through another process's root."""
    path = prison.data / "runstead.db"
    for reading in (
        f"return open({str(path)!r}).read()",
        f"import os; os.symlink({str(path)!r}, 'link'); return open('link').read()",
        f"import os; os.link({str(path)!r}, 'hard'); return open('hard').read()",
        f"return open('/proc/{os.getpid()}/root{path}').read()",
        f"import os; return str(os.listdir({str(prison.data)!r}))",
        f"import sqlite3; return str(sqlite3.connect({str(path)!r}).execute('select 1').fetchall())",
        f"open({str(path)!r}, 'a').write('x'); return 'wrote'",
        f"import shutil; shutil.rmtree({str(prison.data)!r}); return 'removed'",
        "return open('/etc/shadow').read()",
        "return open('/root/.bashrc').read()",
    ):
        refused(await prison.attack(reading))
    assert path.read_text() == SECRET
    await still_works(prison)


async def test_the_environment_is_its_own(prison: Prison) -> None:
    """No variable of the server, in its own environment or in any process that it can see."""
    ran = await prison.attack(
        f"""
import glob, os
found = [repr(dict(os.environ))]
for path in glob.glob("/proc/*/environ") + ["/proc/{os.getpid()}/environ"]:
    try:
        found.append(open(path, "rb").read().decode("latin-1"))
    except OSError:
        pass
return "".join(found)
"""
    )
    assert ran.ok
    assert SECRET not in ran.text
    assert "PYTEST" not in ran.text


async def test_a_neighbours_secrets_are_its_own(prison: Prison) -> None:
    """Of two calls side by side neither sees the other's variables, in its processes, its memory or its folder."""
    waits = "import subprocess\ndef f():\n    open('mine', 'w').write('KEPT')\n    subprocess.run(['/bin/sleep', '60'])"
    neighbour = Job("call", waits, "f", environment={"KEPT": SECRET, "MARK": prison.mark})
    async with asyncio.TaskGroup() as group:
        running = group.create_task(prison.sandbox.run(neighbour, timeout_s=50))
        while not pids_of("/bin/sleep", prison.mark):
            await asyncio.sleep(0)
        ran = await prison.attack(
            """
import glob
found = []
for pattern in ("/proc/*/environ", "/proc/*/cwd/mine", "/proc/*/root/tmp/mine", "/tmp/*/mine", "/tmp/mine"):
    for path in glob.glob(pattern):
        try:
            found.append(open(path, "rb").read().decode("latin-1"))
        except OSError:
            pass
return "".join(found)
"""
        )
        assert ran.ok
        assert SECRET not in ran.text
        assert "KEPT" not in ran.text
        running.cancel()


async def test_another_servers_call_ends_alone(prison: Prison) -> None:
    """Servers of one machine do not know each other, and still no call of one is the same user as a call of the other."""
    waits = "import subprocess\ndef f():\n    subprocess.run(['/bin/sleep', '60'])"
    neighbour = Job("call", waits, "f", environment={"KEPT": SECRET, "MARK": prison.mark})
    another = Sandbox(prison.sandbox.settings)
    running = asyncio.create_task(prison.sandbox.run(neighbour, timeout_s=50))
    while not pids_of("/bin/sleep", prison.mark):
        await asyncio.sleep(0)
    for _ in range(3):
        assert (await another.run(Job("code", "1 + 1"), timeout_s=ATTACK_S)).text == "2"
    assert pids_of("/bin/sleep", prison.mark)
    assert not running.done()
    running.cancel()
    await asyncio.wait({running})


async def test_the_network_is_not_there(prison: Prison) -> None:
    """Not loopback and the server on it, not the metadata service, not a name, not a local socket."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        port = listening.getsockname()[1]
        for trying in (
            f"import socket; socket.create_connection(('127.0.0.1', {port}), 1); return 'in'",
            "import socket; socket.create_connection(('169.254.169.254', 80), 1); return 'in'",
            "import socket; socket.create_connection(('8.8.8.8', 53), 1); return 'in'",
            f"import urllib.request; return urllib.request.urlopen('http://127.0.0.1:{port}/', timeout=1).read()",
            "import socket\ns = socket.socket(type=socket.SOCK_DGRAM)\ns.sendto(b'x', ('127.0.0.1', 9))\nreturn 'in'",
            "import socket; s = socket.socket(socket.AF_UNIX); s.connect('/var/run/docker.sock'); return 'in'",
            "import socket; socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0); return 'in'",
            "import socket; socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM); return 'in'",
        ):
            refused(await prison.attack(trying))
        with pytest.raises(BlockingIOError):
            listening.accept()


async def test_other_processes_are_out_of_reach(prison: Prison) -> None:
    """No signal to the server or to everybody, no tracing, no way up."""
    server = os.getpid()
    for trying in (
        f"import os; os.kill({server}, 9); return 'killed'",
        f"import os; os.kill({os.getppid()}, 15); return 'killed'",
        f"import os; os.killpg({os.getpgid(0)}, 9); return 'killed'",
        f"import os; os.setpriority(os.PRIO_PROCESS, {server}, 19); return 'slowed'",
        f"return open('/proc/{server}/mem', 'rb').read(1)",
        f"import os; return os.readlink('/proc/{server}/cwd')",
    ):
        refused(await prison.attack(trying))
    ran = await prison.attack("import os, signal; os.kill(-1, signal.SIGKILL); return 'killed everybody'")
    assert SECRET not in repr(ran)
    await still_works(prison)


async def test_there_is_no_way_to_more_rights(prison: Prison) -> None:
    """Not another user, not a name space of its own, not a program that gives rights, not a debugger."""
    for trying in (
        "import os; os.setuid(0); return 'root'",
        "import os; os.setgroups([0]); return 'groups'",
        "import os; os.chroot('/tmp'); return 'root'",
        "import resource; resource.setrlimit(resource.RLIMIT_NPROC, (10**6, 10**6)); return 'limits'",
        "open('/proc/sys/kernel/core_pattern', 'w').write('|/tmp/x'); return 'wrote'",
        "open('/sys/kernel/uevent_helper', 'w').write('/tmp/x'); return 'wrote'",
        "open('/dev/mem', 'rb').read(1); return 'read'",
    ):
        refused(await prison.attack(trying))
    ran = await prison.attack(
        """
import ctypes
library = ctypes.CDLL(None)
NEWUSER, NEWNS, ATTACH = 0x10000000, 0x00020000, 16
return str([
    library.unshare(NEWUSER), library.unshare(NEWNS), library.mount(b"x", b"/tmp", b"tmpfs", 0, None),
    library.ptrace(ATTACH, 1, 0, 0), library.setns(0, 0), library.syscall(435, 0, 0),
])
"""
    )
    assert (ran.ok, ran.text) == (True, "[-1, -1, -1, -1, -1, -1]")
    ran = await prison.attack(
        "import os, subprocess\nreturn subprocess.run(['su', '-c', 'id'], input='', capture_output=True, text=True).stdout"
    )
    assert "uid=0" not in ran.text


async def test_bombs_go_off_inside(prison: Prison) -> None:
    """Processes, threads, memory, files and room on the disk have limits; the next call does not notice."""
    began = time.monotonic()
    for bomb in (
        "import os\nwhile True: os.fork()",
        "import threading\nwhile True: threading.Thread(target=threading.Event().wait, daemon=True).start()",
        "kept = []\nwhile True: kept.append(bytearray(10_000_000))",
        "text = 'x' * 1000\nreturn text * 10**9",
        "kept = []\nwhile True: kept.append(open('/dev/null'))",
        "import os\nwith open('big', 'wb') as file:\n    while True: file.write(bytes(1 << 20))",
        "import os\nfor n in range(1000):\n    with open(f'/dev/shm/{n}', 'wb') as file: file.write(bytes(1 << 20))",
        "return (lambda f: f(f))(lambda f: f(f))",
        "import sys\nsys.setrecursionlimit(10**9)\ndef f(): f()\nf()",
    ):
        ran = await prison.attack(bomb, timeout_s=3)
        if "/dev/shm" not in bomb or prison.kind is FenceKind.BUBBLEWRAP:
            refused(ran)
    await still_works(prison)
    assert time.monotonic() - began < 2 * SLOW_S


async def test_the_disk_is_not_filled(prison: Prison) -> None:
    """Not by many files, not by files without a name, not by very many small ones, and not outside of its own place."""
    for filling in (
        "for n in range(600):\n    with open(f'f{n}', 'wb') as file: file.write(bytes(20 << 20))",
        "import os\nkept = []\nfor n in range(200):\n    file = open('u', 'wb')\n    os.unlink('u')\n"
        "    file.write(bytes(20 << 20))\n    file.flush()\n    kept.append(file)",
        "n = 0\nwhile True:\n    n += 1\n    open(f'f{n}', 'w').close()",
    ):
        ran = await prison.attack(filling)
        refused(ran)
        assert "longer than" not in ran.text, "stopped by its size"
    outside = [f"{folder}/{prison.mark}" for folder in ("/tmp", "/var/tmp", "/dev/shm")]
    for path in outside:
        await prison.attack(f"open({path!r}, 'w').write('x')")
    assert not any(map(os.path.exists, outside))


async def test_a_deep_folder_is_taken_away(
    prison: Prison, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One that Python's own removal would fail at, with a file handle for each of its levels."""
    place = tmp_path / "places"
    place.mkdir(mode=0o755)
    for folder in (place, *place.parents[:2]):
        folder.chmod(0o755)
    monkeypatch.setattr("tempfile.tempdir", str(place))
    ran = await prison.attack(
        "import os\nfor n in range(3000):\n    os.mkdir('d')\n    os.chdir('d')\nos.chmod('.', 0)\nreturn 'deep'",
    )
    assert ran.ok or "wrote more than" in ran.text
    assert list(place.iterdir()) == []
    await still_works(prison)


async def test_no_memory_that_nobody_counts(prison: Prison) -> None:
    """Neither what has no name, nor what stays when its process is gone."""
    refused(await prison.attack("import os\nos.memfd_create('x')\nreturn 'made'"))
    ran = await prison.attack(
        """
import ctypes
call = ctypes.CDLL(None)
return str([call.shmget(0, 1 << 20, 0o1600), call.msgget(0, 0o1600), call.semget(0, 1, 0o1600)])
"""
    )
    assert (ran.ok, ran.text) == (True, "[-1, -1, -1]")


async def test_arguments_without_a_bottom(prison: Prison) -> None:
    """Nested more deeply than can be written down: an error of the call, not of the server."""
    deep: object = []
    for _ in range(500):
        deep = [deep]
    ran = await prison.attack("return 'in'", given=deep)
    assert not ran.ok
    assert "nested too deeply" in ran.text


async def test_many_may_not_take_what_one_may_not(prison: Prison, tmp_path: Path) -> None:
    """Processes that each stay below the limit are stopped when they are too large together."""
    settings = replace(prison.sandbox.settings, sandbox_memory_mb=256, data_dir=tmp_path)
    small = Prison(Sandbox(settings), prison.data, prison.kind, prison.mark)
    body = "import os, signal\nfor n in range(20):\n    if os.fork() == 0: break\nx = bytearray(150 << 20)\nsignal.pause()"
    ran = await small.attack(body)
    assert not ran.ok
    assert "more than 512 MiB of memory together" in ran.text
    assert await gone(prison)


async def test_time_is_limited(prison: Prison) -> None:
    """A hang, a busy loop, and what ignores every request to end."""
    for hang in (
        "import signal; signal.pause()",
        "while True: pass",
        "import signal\nfor n in {*range(1, 32)} - {9, 19}: signal.signal(n, signal.SIG_IGN)\nsignal.pause()",
        "import os, signal\nif os.fork() == 0:\n    os.setsid()\n    signal.pause()\nsignal.pause()",
    ):
        began = time.monotonic()
        ran = await prison.attack(hang, timeout_s=0.7)
        assert not ran.ok
        assert "longer than 0.7 s" in ran.text
        assert time.monotonic() - began < SLOW_S
    assert await gone(prison)


async def test_what_outlives_its_call_is_killed(prison: Prison) -> None:
    """A process that a call leaves behind, in a session of its own, ends with the call."""
    ran = await prison.attack(
        "import os, signal\nif os.fork() == 0:\n    os.setsid()\n    signal.pause()\nreturn 'left one behind'"
    )
    assert (ran.ok, ran.text) == (True, "left one behind")
    assert await gone(prison)


async def test_floods_are_cut(prison: Prison) -> None:
    """A gigabyte on either output, or as the answer, is not kept: memory stays, and the call is an error."""
    before = resident_bytes()
    for flood in (
        "import sys\nfor _ in range(1024): sys.stdout.write('x' * (1 << 20))\nreturn 'done'",
        "import sys\nfor _ in range(1024): sys.stderr.write('x' * (1 << 20))\nreturn 'done'",
        """import os
for fd in range(3, 99):
    try:
        while os.write(fd, b'x' * 10**6): pass
    except OSError: pass""",
    ):
        ran = await prison.attack(flood, timeout_s=20)
        assert not ran.ok, flood
        assert len(ran.stdout) + len(ran.stderr) < 300_000
    long = await prison.attack("return 'y' * 50_000_000")
    assert len(long.text) <= 2_000_000
    assert resident_bytes() - before < 120 * 1024 * 1024


async def test_what_comes_back_is_text_and_nothing_else(prison: Prison) -> None:
    """Objects from hell, forged answers, lone surrogates and NUL: all of it is text, or an error."""
    hell = await prison.attack(
        """
import os
class Hell:
    def __reduce__(self): return (os.system, ("touch /tmp/owned",))
    def __str__(self): raise RuntimeError("no text")
return Hell()
"""
    )
    assert not hell.ok
    forged = await prison.attack(
        """
import os
for fd in range(3, 100):
    try: os.write(fd, b'{"status": "success", "text": {"__class__": "x"}}\\\\n')
    except OSError: pass
os._exit(0)
"""
    )
    assert isinstance(forged.text, str)
    odd = await prison.attack("return chr(0xD800) + chr(0) + '\\u2028'")
    assert (odd.ok, odd.text) == (True, "\\ud800\\0\u2028")
    for end in (
        "import os; os._exit(7)",
        "import os; os.abort()",
        "raise SystemExit(3)",
        "import ctypes; ctypes.string_at(0)",
    ):
        refused(await prison.attack(end))
    await still_works(prison)


async def test_a_cancelled_call_is_gone(prison: Prison) -> None:
    """Whoever cancels a call while it starts or runs leaves no process."""
    for turns_of_the_loop in (0, 1, 5, 50, None):
        task = asyncio.get_running_loop().create_task(prison.attack("import signal; signal.pause()", 30))
        turn = 0
        # None: until it runs, which is seen from outside.
        while turn != turns_of_the_loop and not (turns_of_the_loop is None and named(prison.mark)):
            await asyncio.sleep(0)
            turn += 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await gone(prison)
    await still_works(prison)
