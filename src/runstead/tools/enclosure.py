"""How a process for user code is fenced in: the command that starts it, for each kind of fence. Starts nothing itself.

`bubblewrap` gives the process name spaces of its own: it sees a small read-only system, no network, no other process. Where
that cannot be had, `process` is left: limits, as root another user, and what the kernel can refuse: sockets, and (Landlock)
files but a few. The server runs as root or not; as root each call is another user, so that limits count for it alone.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

PROGRAM = "runstead.tools.sandboxed"
SYSTEM_FOLDERS = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo")
SYSTEM_LINKS = ("/bin", "/lib", "/lib32", "/lib64")
SYSTEM_FILES = ("/etc/alternatives", "/etc/ld.so.cache", "/etc/ld.so.conf", "/etc/localtime")
NETWORK_FILES = ("/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/ssl", "/etc/ca-certificates")
# What user code may import beside the standard library: schemas of arguments are often written with it.
LIBRARIES = ("pydantic", "pydantic_core", "annotated_types", "typing_extensions", "typing_inspection")
# What is shown without name spaces, where the kernel can show less than everything.
SHOWN = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/sys/devices/system/cpu", "/proc/self")
SHOWN_FILES = (
    *("/etc/passwd", "/etc/group", "/etc/ld.so.conf.d", "/etc/mime.types"),
    *("/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg"),
    *("/dev/zero", "/dev/full", "/dev/random", "/dev/urandom"),
)
OWN_FILES = ("/dev/null",)
INSIDE = "/run/runstead"
HOME_INSIDE = "/tmp"  # noqa: S108 - a file system of the process's own
TMP_BYTES_MAX = 64 * 1024 * 1024
ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}


@dataclass(frozen=True, slots=True)
class Interpreter:
    """The Python that runs user code, and the libraries that it is given."""

    binary: Path
    prefix: Path
    libraries: tuple[Path, ...]

    @property
    def readable_by_all(self) -> bool:
        """Whether another user could run it."""
        return all(os.stat(folder).st_mode & 0o005 == 0o005 for folder in (self.binary, *self.binary.parents))  # noqa: PTH116 - of parents too


def interpreter(chosen: str) -> Interpreter:
    """The chosen interpreter, or the one that runs the server, outside of its virtual environment."""
    if chosen:
        binary = Path(chosen).resolve()
        return Interpreter(binary, binary.parent.parent, ())
    binary = Path(sys.executable).resolve()
    return Interpreter(binary, Path(sys.base_prefix), tuple(_places()))


def _places() -> list[Path]:
    found: list[Path] = []
    for name in LIBRARIES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            origin = Path(spec.origin)
            found.append(origin.parent if origin.name == "__init__.py" else origin)
    return found


def program() -> Path:
    """The file of the program that runs user code."""
    spec = find_spec(PROGRAM)
    assert spec is not None, "it is a module of this package"
    assert spec.origin is not None, "and has a file"
    return Path(spec.origin)


@dataclass(frozen=True, slots=True)
class Fence:
    """What one call may see."""

    python: Interpreter
    network: bool
    hidden: Path
    packages: Path | None = None

    def bubblewrap(self, answers: int) -> list[str]:
        """The command line under bubblewrap."""
        command = ["bwrap", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"]
        command += ["--die-with-parent", "--new-session", "--hostname", "sandbox"]
        if not self.network:
            command.append("--unshare-net")
        if os.geteuid() == 0:
            # The program changes its user itself, which it could not in a user name space that has only one.
            command += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            command += ["--unshare-user", "--disable-userns"]
        command += self._folders()
        command += self._system()
        command += ["--proc", "/proc", "--dev", "/dev", *_room("/dev/shm")]  # noqa: S108 - inside
        command += _room(HOME_INSIDE)
        for library in self.python.libraries:
            command += _read_only(library, f"{INSIDE}/lib/{library.name}")
        if self.packages is not None:
            command += _read_only(self.packages, f"{INSIDE}/packages")
        command += _read_only(program(), f"{INSIDE}/program.py")
        command += ["--remount-ro", "/dev", "--remount-ro", "/", "--chdir", HOME_INSIDE, "--"]
        return [*command, *self._python(f"{INSIDE}/program.py", answers)]

    def process(self, answers: int) -> list[str]:
        """The command line without bubblewrap."""
        return self._python(str(program()), answers)

    def paths(self, *, inside: bool) -> list[str]:
        """Where Python shall look for modules beside its own."""
        if inside:
            return [f"{INSIDE}/packages", f"{INSIDE}/lib"]
        found = [] if self.packages is None else [str(self.packages)]
        return [*found, *dict.fromkeys(str(library.parent) for library in self.python.libraries)]

    def shown(self) -> list[str]:
        """What code may read where there is no name space around it: as little as it needs."""
        found = [*SHOWN, *SHOWN_FILES, *SYSTEM_FILES, *(NETWORK_FILES if self.network else ())]
        found += [str(self.python.prefix / "bin"), str(self.python.prefix / "lib")]
        found += [str(library) for library in self.python.libraries]
        return found if self.packages is None else [*found, str(self.packages)]

    def _python(self, file: str, answers: int) -> list[str]:
        return [str(self.python.binary), "-I", "-S", "-B", "-u", file, str(answers)]

    def _folders(self) -> list[str]:
        """The folders above what is shown: bubblewrap would make them for its own user only."""
        shown = [
            self.python.prefix / "lib",
            Path(f"{INSIDE}/lib/any"),
            Path("/usr/share/zoneinfo"),
            Path("/etc/any"),
        ]
        above = {parent for path in shown for parent in path.parents if parent != Path("/")}
        return [word for path in sorted(above) for word in ("--perms", "0755", "--dir", str(path))]

    def _system(self) -> list[str]:
        command: list[str] = []
        folders = [*SYSTEM_FOLDERS]
        if self.python.prefix != Path("/usr"):
            folders += [str(self.python.prefix / "bin"), str(self.python.prefix / "lib")]
        for folder in folders:
            if Path(folder).is_dir():
                command += _read_only(Path(folder), folder)
        for link in SYSTEM_LINKS:
            path = Path(link)
            if path.is_symlink():
                command += ["--symlink", str(path.readlink()), link]
            elif path.is_dir():
                command += _read_only(path, link)
        for file in (*SYSTEM_FILES, *(NETWORK_FILES if self.network else ())):
            command += ["--ro-bind-try", file, file]
        # A data folder inside of a folder that is shown stays hidden all the same.
        if any(self.hidden.is_relative_to(folder) for folder in folders):
            command += ["--tmpfs", str(self.hidden)]
        return command


def node() -> str | None:
    """Where Node is, if it is where user code can see it."""
    found = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")
    return None if found is None else str(Path(found).resolve())


def _read_only(source: Path, target: str) -> Sequence[str]:
    return ("--ro-bind", str(source), target)


def _room(folder: str) -> Sequence[str]:
    return ("--perms", "1777", "--size", str(TMP_BYTES_MAX), "--tmpfs", folder)
