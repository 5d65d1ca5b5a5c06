"""The program that runs user code, in a process of its own: it is started by its path and imports the standard library only.

Standard input brings one job as JSON; the answer goes as JSON to the file descriptor that the first argument names. What the
code prints goes to its own standard output and error, which the server reads. It confines itself before it looks at the
code: limits, then another user where the server may change to one, then no way back to more privileges.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import json
import linecache
import os
import resource
import stat
import struct
import subprocess
import sys
import traceback
import types
import typing
from collections.abc import Callable, Mapping

Json = dict[str, typing.Any]
USER_FILE = "tool.py"
USER_MODULE = "tool"
TEXT_CHARS_MAX = 2_000_000
TRACEBACK_CHARS_MAX = 8_000
OOM_SCORE = "1000"

# The kernel's numbers, by machine. What reaches over a fence, or makes holes into one, is refused whatever rights there are.
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
ALLOW, REFUSE = 0x7FFF0000, 0x00050000  # the latter with an errno
EPERM, ENOSYS = 1, 38
LOAD, JUMP_EQUAL, JUMP_GREATER_EQUAL, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
OFFSET_NUMBER, OFFSET_MACHINE, OFFSET_FIRST_ARGUMENT = 0, 4, 16
NEW_NAME_SPACES = 0x7E020080
OTHER_ABI = 0x40000000
# unshare, setns, mount, ptrace, process_vm_*, bpf, perf_event_open, the keyring's, userfaultfd, open_by_handle_at, those
# that load modules, and kexec. Then what is memory that no limit counts, or outlives its process: memfd_create, shmget,
# msgget, semget, mq_open.
MACHINES: dict[str, tuple[int, int, int, tuple[int, ...]]] = {
    "x86_64": (
        0xC000003E,
        56,
        41,
        (
            272,
            308,
            165,
            101,
            310,
            311,
            321,
            298,
            248,
            249,
            250,
            323,
            304,
            175,
            313,
            246,
            *(319, 29, 68, 64, 240),
        ),
    ),
    "aarch64": (
        0xC00000B7,
        220,
        198,
        (
            97,
            268,
            40,
            117,
            270,
            271,
            280,
            241,
            217,
            218,
            219,
            282,
            265,
            105,
            273,
            104,
            *(279, 194, 186, 190, 180),
        ),
    ),
}
# The same on every machine: io_uring_*, which would go round a filter, pidfd_getfd, the newer mount calls, memfd_secret.
REFUSED_EVERYWHERE = (425, 426, 427, 428, 429, 430, 431, 432, 433, 438, 442, 447)
CLONE3 = 435

# Landlock: the kernel's fence around files, which needs no rights. Its calls have the same numbers on every machine.
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION, LANDLOCK_PATH_BENEATH = 1, 1
READING = 1 << 0 | 1 << 2 | 1 << 3  # execute, read a file, read a folder
OF_A_FILE = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 14 | 1 << 15
# What it can refuse, by version: files since the first, moves and truncation, TCP, devices; signals and abstract sockets.
FILES_BY_VERSION = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 4: (1 << 15) - 1, 5: (1 << 16) - 1}
NET_SINCE, NET_ALL = 4, 3
SCOPED_SINCE, SCOPED_ALL = 6, 3


def main() -> None:
    """Do the one job."""
    answers = int(sys.argv[1])
    job: Json = json.loads(sys.stdin.buffer.read())
    os.set_inheritable(answers, False)  # noqa: FBT003 - the function has no other form
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    # Opened while they can be: the way to its own folder may lead through folders that are not for its user.
    shown, own = opened(job["shown"] or ()), opened(job["own"])
    confine(job["limits"], job.get("uid"))
    walled = job["shown"] is not None and walled_in(shown, own, network=job["network"])
    for place in (*shown, *own):
        os.close(place)
    filtered = filtered_calls(network=job["network"])
    os.environ.clear()  # noqa: TID251 - this process has no settings
    os.environ.update(job["environment"])  # noqa: TID251 - the agent's variables
    sys.path[:0] = job["paths"]
    try:
        answer = JOBS[job["job"]](job)
    except BaseException as error:  # noqa: BLE001 - whatever user code raises becomes the job's answer
        answer = failure(error)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            continue
    body = json.dumps({**answer, "filtered": filtered, "walled": walled}).encode() + b"\n"
    while body:
        body = body[os.write(answers, body) :]


def confine(limits: Mapping[str, int], uid: int | None) -> None:
    """Give up everything that user code shall not have."""
    os.nice(10)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:  # noqa: PTH123 - no pathlib: it starts slower
            score.write(OOM_SCORE)
    except OSError:
        sys.stderr.flush()  # a kernel without it: the memory limit below holds all the same
    for name, value in limits.items():
        number = getattr(resource, name)
        _, highest = resource.getrlimit(number)
        # The end of the processor's time is a signal that says so; who does not hear it is killed a second later.
        wanted = (value, value + 1 if name == "RLIMIT_CPU" else value)
        if highest != resource.RLIM_INFINITY:
            wanted = (min(wanted[0], highest), min(wanted[1], highest))
        resource.setrlimit(number, wanted)
    if uid is not None:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    os.umask(0o077)


def opened(paths: typing.Iterable[str]) -> list[int]:
    """Handles that name places without giving anything of them. What is not there nobody needs."""
    found: list[int] = []
    for path in paths:
        try:
            found.append(os.open(path, os.O_PATH | os.O_CLOEXEC))
        except OSError:
            continue
    return found


def walled_in(shown: list[int], own: list[int], *, network: bool) -> bool:
    """Let nothing be read but what is `shown`, and nothing be written but what is its `own`. False: this kernel cannot."""
    try:
        import ctypes  # noqa: PLC0415 - not there in every build of Python
    except ImportError:
        return False
    call = ctypes.CDLL(None, use_errno=True).syscall
    version = call(LANDLOCK_CREATE, None, 0, LANDLOCK_VERSION)
    if version < 1 or ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return False
    files = FILES_BY_VERSION[min(version, max(FILES_BY_VERSION))]
    net = NET_ALL if version >= NET_SINCE and not network else 0
    scoped = SCOPED_ALL if version >= SCOPED_SINCE else 0
    size = 24 if version >= SCOPED_SINCE else 16 if version >= NET_SINCE else 8
    rules = call(LANDLOCK_CREATE, struct.pack("=QQQ", files, net, scoped), size, 0)
    if rules < 0:
        return False
    for place, allowed in (*((each, READING) for each in shown), *((each, files) for each in own)):
        allowed &= files if stat.S_ISDIR(os.fstat(place).st_mode) else files & OF_A_FILE
        call(LANDLOCK_ADD, rules, LANDLOCK_PATH_BENEATH, struct.pack("=Qi", allowed, place), 0)
    done = call(LANDLOCK_RESTRICT, rules, 0) == 0
    os.close(rules)
    return done


def filtered_calls(*, network: bool) -> bool:
    """No way back to more rights, and a filter for calls of the kernel. False where this Python or kernel cannot."""
    try:
        import ctypes  # noqa: PLC0415 - not there in every build of Python
    except ImportError:
        return False
    library = ctypes.CDLL(None, use_errno=True)
    if library.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 or os.uname().machine not in MACHINES:
        return False
    code = b"".join(struct.pack("HBBI", *each) for each in rules_of(os.uname().machine, network=network))
    buffer = ctypes.create_string_buffer(code, len(code))
    program = struct.pack("HxxxxxxP", len(code) // 8, ctypes.addressof(buffer))
    return library.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) == 0


def rules_of(machine: str, *, network: bool) -> list[tuple[int, int, int, int]]:
    """The filter as the kernel reads it: (operation, jump if so, jump if not, value)."""
    audit, clone, socket, refused = MACHINES[machine]
    refuse = (RETURN, 0, 0, REFUSE | EPERM)
    rules = [(LOAD, 0, 0, OFFSET_MACHINE), (JUMP_EQUAL, 1, 0, audit), refuse, (LOAD, 0, 0, OFFSET_NUMBER)]
    rules += [(JUMP_GREATER_EQUAL, 0, 1, OTHER_ABI), refuse]
    # Without it the library falls back to `clone`, whose flags can be looked at.
    rules += [(JUMP_EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, REFUSE | ENOSYS)]
    for number in (*refused, *REFUSED_EVERYWHERE, *(() if network else (socket,))):
        rules += [(JUMP_EQUAL, 0, 1, number), refuse]
    rules += [(JUMP_EQUAL, 0, 3, clone), (LOAD, 0, 0, OFFSET_FIRST_ARGUMENT)]
    rules += [(JUMP_ANY_BIT, 0, 1, NEW_NAME_SPACES), refuse, (RETURN, 0, 0, ALLOW)]
    return rules


def call(job: Json) -> Json:
    """Call one function of a source with arguments by name."""
    schema: Json | None = job.get("args_schema")
    module = load(job["source"], lazily=schema is not None)
    function = getattr(module, job["name"], None)
    if not callable(function):
        raise NameError(f"the source defines no function named {job['name']}")
    arguments = prepared(function, dict(job["arguments"]), schema, job.get("agent"))
    value = function(**arguments)
    if inspect.isawaitable(value):
        import asyncio  # noqa: PLC0415 - slow to load, and seldom needed

        value = asyncio.run(_awaited(value))
    return {"status": "success", "text": text_of(value)}


def code(job: Json) -> Json:
    """Run a piece of Python; its value is that of its last line, where that is an expression."""
    tree = ast.parse(job["source"], USER_FILE)
    module = fresh(job["source"])
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, USER_FILE, "exec"), module.__dict__)  # noqa: S102 - this process is for that
    if last is None:
        return {"status": "success", "text": ""}
    value = eval(compile(ast.Expression(last.value), USER_FILE, "eval"), module.__dict__)  # noqa: S307 - and for that
    return {"status": "success", "text": "" if value is None else clean(repr(value))}


def javascript(job: Json) -> Json:
    """Run a piece of JavaScript by Node."""
    memory = f"--max-old-space-size={job['memory_mb']}"
    done = subprocess.run([job["node"], memory, "-"], input=job["source"].encode(), check=False)  # noqa: S603 - as meant
    if done.returncode != 0:
        return {"status": "error", "text": f"Node ended with {done.returncode}.", "traceback": ""}
    return {"status": "success", "text": ""}


def schema(job: Json) -> Json:
    """The JSON schema of a function's parameters, where their types are classes of the source."""
    from pydantic import TypeAdapter  # noqa: PLC0415 - only here

    module = load(job["source"], lazily=False)
    function = getattr(module, job["name"])
    hints = typing.get_type_hints(function, include_extras=True)
    found = {name: TypeAdapter(hints[name]).json_schema() for name in job["parameters"] if name in hints}
    return {"status": "success", "text": "", "schemas": found}


JOBS: dict[str, Callable[[Json], Json]] = {
    "call": call,
    "code": code,
    "javascript": javascript,
    "schema": schema,
}


# What JSON's values are in Python.
PLAIN = (str, int, float, bool, list, dict, object, type(None), typing.Any)


def fresh(source: str) -> types.ModuleType:
    """An empty module for a source, whose lines tracebacks can show."""
    module = types.ModuleType(USER_MODULE)
    sys.modules[USER_MODULE] = module
    linecache.cache[USER_FILE] = (len(source), None, source.splitlines(keepends=True), USER_FILE)
    return module


def load(source: str, *, lazily: bool) -> types.ModuleType:
    """The module that a source makes. `lazily`: its annotations may name what is not there."""
    module = fresh(source)
    flags = __future__.annotations.compiler_flag if lazily else 0
    exec(compile(source, USER_FILE, "exec", flags=flags, dont_inherit=True), module.__dict__)  # noqa: S102 - see above
    return module


def prepared(
    function: Callable[..., object], arguments: Json, args_schema: Json | None, agent: Json | None
) -> Json:
    """The arguments as the function wants them: objects for nested ones, and what only the server knows."""
    if args_schema is not None:
        shapes = args_schema.get("properties", {})
        defs = args_schema.get("$defs", {})
        arguments = {name: shaped(value, shapes.get(name), defs) for name, value in arguments.items()}
    else:
        arguments = validated(function, arguments)
    if agent is not None and "agent_state" in inspect.signature(function).parameters:
        arguments["agent_state"] = types.SimpleNamespace(**agent)
    return arguments


class Record(dict[str, typing.Any]):
    """A nested argument: a mapping whose members are attributes too."""

    def __getattr__(self, name: str) -> typing.Any:
        """A member. Raises `AttributeError` where there is none."""
        try:
            return self[name]
        except KeyError:
            raise AttributeError(name) from None

    def model_dump(self, **_options: object) -> Json:
        """As pydantic's models give their members."""
        return dict(self)


def shaped(value: object, shape: object, defs: Json) -> object:
    """A JSON value, with objects that have named members as `Record`."""
    told = typing.cast("Json", shape) if isinstance(shape, dict) else {}
    if isinstance(value, list):
        return [shaped(each, told.get("items"), defs) for each in typing.cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    given = typing.cast("Json", value)
    for option in (told, *told.get("anyOf", ()), *told.get("allOf", ())):
        target: Json = defs.get(str(option.get("$ref", "")).rpartition("/")[2], option)
        members: Json | None = target.get("properties")
        if members:
            return Record({name: shaped(each, members.get(name), defs) for name, each in given.items()})
    return given


def validated(function: Callable[..., object], arguments: Json) -> Json:
    """Arguments made into what their annotations name: the source's own classes, or times, sets and the like.

    What is no such class of the source's is an error; of anything else it is left to the function to say what it wanted.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001 - annotations that cannot be looked at are not acted on
        return arguments
    found = dict(arguments)
    for name, value in arguments.items():
        if name not in hints or not isinstance(value, str | dict | list):
            continue
        hint = hints[name]
        if _of_the_source(hint) or _is_made(hint):
            from pydantic import TypeAdapter  # noqa: PLC0415 - only where it is needed

            try:
                found[name] = TypeAdapter(hint).validate_python(value)
            except (
                Exception
            ):  # what does not fit the source's own class is the answer; other things stay as they came
                if _of_the_source(hint):
                    raise
    return found


def _of_the_source(hint: typing.Any) -> bool:
    """Whether an annotation is, or holds, a class that the source defines."""
    return getattr(hint, "__module__", None) == USER_MODULE or any(map(_of_the_source, typing.get_args(hint)))


def _is_made(hint: typing.Any) -> bool:
    """Whether an annotation is, or holds, a class that is no value of JSON's as it comes."""
    origin = typing.get_origin(hint)
    if isinstance(hint, type) and origin is None:
        return hint not in PLAIN
    return origin in (set, frozenset, tuple) or any(map(_is_made, typing.get_args(hint)))


async def _awaited(value: typing.Any) -> object:
    return await value


def text_of(value: object) -> str:
    """What a function's value is told as: text as it is, mappings as JSON, anything else as Python prints it."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict):
        try:
            return clean(json.dumps(value, default=str, ensure_ascii=False))
        except (TypeError, ValueError):
            return clean(repr(typing.cast("Json", value)))
    return clean(str(value))


def clean(text: str) -> str:
    """Text that every store can keep, and not without end."""
    return text[:TEXT_CHARS_MAX].encode("utf-8", "backslashreplace").decode()


def failure(error: BaseException) -> Json:
    """What an exception is told as, with the lines of the user's code only."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == USER_FILE]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(own)] if own else []
    try:
        lines += traceback.format_exception_only(error)
        message = str(error)
    except Exception:  # noqa: BLE001 - an exception that cannot even be printed is told by its type
        message = ""
    return {
        "status": "error",
        "text": clean(f"{type(error).__name__}: {message}"),
        "traceback": clean("".join(lines))[-TRACEBACK_CHARS_MAX:],
    }


if __name__ == "__main__":
    main()
