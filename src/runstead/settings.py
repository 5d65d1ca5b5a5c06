"""Every setting, read from the environment in this file and nowhere else.

Names are `RUNSTEAD_*`; for those who come from Letta the names in `_LETTA` work too, where no `RUNSTEAD_*` one is set.
Secrets are wrapped so that no log line, error or `repr` can show them.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path

from runstead.errors import Invalid

_LETTA = {
    "RUNSTEAD_DATABASE_URL": "LETTA_PG_URI",
    "RUNSTEAD_SERVER_PASSWORD": "LETTA_SERVER_PASSWORD",
    "RUNSTEAD_KEEPALIVE_S": "LETTA_KEEPALIVE_INTERVAL",
    "RUNSTEAD_MODEL_TIMEOUT_S": "LETTA_LLM_STREAM_TIMEOUT_SECONDS",
    "RUNSTEAD_PROVIDER_TRACE": "LETTA_TRACK_PROVIDER_TRACE",
}
# Settings that take one of a few words.
CHOICES = {
    "RUNSTEAD_APPROVAL_DEFAULT": ("deny", "approve"),
    "RUNSTEAD_BUSY_POLICY": ("wait", "refuse", "interrupt"),
    "RUNSTEAD_ROLE": ("all", "api", "worker"),
    "RUNSTEAD_SANDBOX": ("auto", "bubblewrap", "process", "off"),
}
_LETTA_CLIENT = {"RUNSTEAD_URL": "LETTA_BASE_URL", "RUNSTEAD_KEY": "LETTA_API_KEY"}
PROCESSES_MAX = 256
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/\s,@*]+")
LOOPBACK = {"127.0.0.1", "::1", "localhost"}
DEFAULT_URL = "http://127.0.0.1:8283"


class Secret:
    """A string that shows itself only to who asks for `reveal()`."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Secret('…')"

    def reveal(self) -> str:
        """The secret itself; never put it in a log or an error."""
        return self._value


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """How to reach one provider of models.

    `kind` names the protocol: `openai` (Responses), `chat` (Chat Completions, any compatible server), `anthropic`, `google`.
    """

    name: str
    kind: str
    base_url: str
    api_key: Secret | None = None


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """The service that searches the web for agents: `tavily` or `exa`."""

    kind: str
    base_url: str
    api_key: Secret


@dataclass(frozen=True, slots=True)
class Settings:
    """What a server is told at its start. Units stand last in the names; `_s` is seconds."""

    host: str = "127.0.0.1"
    port: int = 8283
    data_dir: Path = field(default_factory=lambda: Path.home() / ".runstead")
    database_url: str = field(default="", repr=False)
    database_pool_size: int = 10
    redis_url: str = field(default="", repr=False)
    role: str = "all"
    processes: int = 1
    reuse_port: bool = False
    # Set by `--processes`: the process that watches this one, and whose end is this one's.
    supervisor_pid: int = 0
    # Set by `--processes` too: where the processes of one port tell each other their numbers, and this one's place there.
    family_dir: Path | None = None
    family_place: int = 0
    server_password: Secret | None = None
    providers: tuple[ProviderSettings, ...] = ()

    keepalive_s: float = 20.0
    lease_s: float = 15.0
    reconcile_s: float = 1.0
    drain_s: float = 10.0
    runs_max: int = 1000
    body_bytes_max: int = 64 * 1024 * 1024
    # Of one file as it comes, of the text that is made of it, and of all files of one actor together.
    file_bytes_max: int = 16 * 1024 * 1024
    file_chars_max: int = 5_000_000
    files_bytes_max: int = 1024 * 1024 * 1024
    events_keep_s: float = 7 * 24 * 3600.0
    sweep_s: float = 300.0
    sqlite_synchronous: str = "NORMAL"
    busy_policy: str = "wait"
    approval_expires_s: float = 7 * 24 * 3600.0
    approval_default: str = "deny"

    model_timeout_s: float = 600.0
    model_first_token_timeout_s: float = 120.0
    model_idle_timeout_s: float = 120.0
    model_retries: int = 2
    # The embedding model of archives and agents that name none; empty: those are found by their words alone.
    embedding_model: str = ""
    tool_timeout_s: float = 180.0
    sandbox: str = "auto"
    sandbox_network: bool = False
    sandbox_memory_mb: int = 1024
    sandbox_calls_max: int = 8
    sandbox_python: str = ""
    secrets_key: Secret | None = None
    search: SearchSettings | None = None
    fetch_private: bool = False
    cors_origins: str = ""
    mcp_stdio_commands: str = ""
    mcp_allow_hosts: str = ""
    mcp_connect_timeout_s: float = 30.0
    mcp_call_timeout_s: float = 120.0
    mcp_idle_s: float = 600.0
    mcp_connections_max: int = 64
    provider_allow_hosts: str = ""
    provider_trace: bool = False
    callback_timeout_s: float = 5.0
    callback_attempts_max: int = 8
    callback_allow_hosts: str = ""
    webhook_secret: Secret | None = None
    log_level: str = "WARNING"
    log_json: bool = False
    traces: bool = False
    trace_content: bool = False

    def secrets(self) -> tuple[str, ...]:
        """Every secret among the settings, so that it can be hidden wherever it turns up."""
        keys = [
            self.server_password,
            self.secrets_key,
            self.webhook_secret,
            *(each.api_key for each in self.providers),
        ]
        if self.search is not None:
            keys.append(self.search.api_key)
        return tuple(key.reveal() for key in keys if key is not None)

    @property
    def database(self) -> str:
        """The database's URL: what was given, or SQLite in the data folder."""
        return self.database_url or f"sqlite:///{self.data_dir / 'runstead.db'}"

    @property
    def on_postgres(self) -> bool:
        """Whether the database is PostgreSQL: then any number of processes may share it."""
        return self.database.split(":", 1)[0].split("+", 1)[0] in {"postgres", "postgresql"}

    @property
    def works(self) -> bool:
        """Whether this process works on runs."""
        return self.role in {"all", "worker"}

    @property
    def serves(self) -> bool:
        """Whether this process serves the API; one that only works tells its health, and nothing else."""
        return self.role in {"all", "api"}

    @property
    def mcp_commands(self) -> tuple[tuple[str, ...], ...]:
        """The programs that may be run as MCP servers, each with the arguments that it must begin with."""
        return tuple(
            tuple(words) for each in self.mcp_stdio_commands.split(",") if (words := shlex.split(each))
        )

    @property
    def origins(self) -> tuple[str, ...]:
        """The sites whose pages may ask in a browser, as a browser names them; `*`: those of any site."""
        found = tuple(
            each.strip().rstrip("/").lower() for each in self.cors_origins.split(",") if each.strip()
        )
        for each in found:
            if each != "*" and not _ORIGIN.fullmatch(each):
                raise ValueError(f"{each!r} is no site as https://app.example or http://localhost:3000 is")
        return found

    @property
    def on_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        return self.host in LOOPBACK


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """What a command is told that speaks to a server, here or elsewhere."""

    url: str = DEFAULT_URL
    key: Secret | None = None


def client_from_environment(
    environ: Mapping[str, str] | None = None, *, url: str | None = None, key: str | None = None
) -> ClientSettings:
    """Where the server is and which key it is shown: what was typed, else the environment, else this machine.

    Raises `Invalid` where the URL is none.
    """
    env = dict(os.environ if environ is None else environ)
    for ours, theirs in _LETTA_CLIENT.items():
        env[ours] = env.get(ours) or env.get(theirs) or ""
    base = (url or env["RUNSTEAD_URL"] or DEFAULT_URL).rstrip("/").removesuffix("/v1")
    if not base.startswith(("http://", "https://")) or base.endswith("//"):
        raise Invalid(
            f"{base!r} is no URL of a server; give one like {DEFAULT_URL} with --url or RUNSTEAD_URL."
        )
    secret = key or env["RUNSTEAD_KEY"]
    return ClientSettings(base, Secret(secret) if secret else None)


def colourless() -> bool:
    """Whether a person wants no colours (NO_COLOR), or has a terminal that cannot show any."""
    return bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"


def from_environment(environ: Mapping[str, str] | None = None, **given: object) -> Settings:
    """The settings of a server: `given` (from the command line) first, then the environment, then the defaults.

    Raises `Invalid` naming the variable where a value cannot be read.
    """
    env = dict(os.environ if environ is None else environ)
    for ours, theirs in _LETTA.items():
        if theirs in env:
            env.setdefault(ours, env[theirs])
    if env.get("LETTA_REDIS_HOST"):
        port = env.get("LETTA_REDIS_PORT") or "6379"
        env.setdefault("RUNSTEAD_REDIS_URL", f"redis://{env['LETTA_REDIS_HOST']}:{port}")
    values: dict[str, object] = {k: v for k, v in given.items() if v is not None}
    for item in fields(Settings):
        name = "RUNSTEAD_" + item.name.upper()
        if item.name in values or item.name in {"providers", "search"} or not env.get(name):
            continue
        values[item.name] = _read(name, env[name], str(item.type))
    if values.get("role") == "worker":
        # Nobody needs to find it: whoever asks for its health names the port.
        values.setdefault("port", 0)
    values.setdefault("traces", _wants_traces(env))
    values["providers"] = _providers(env)
    values["search"] = _search(env)
    return _checked(Settings(**values))  # type: ignore[arg-type]


def _checked(settings: Settings) -> Settings:
    """The settings, where they go together. Raises `Invalid`."""
    if settings.role not in CHOICES["RUNSTEAD_ROLE"]:
        raise Invalid(f"A role is one of {', '.join(CHOICES['RUNSTEAD_ROLE'])}, not {settings.role!r}.")
    if settings.role != "all" and not settings.on_postgres:
        raise Invalid(
            f"The role {settings.role!r} is for one of several processes, and those share a PostgreSQL:"
            " set RUNSTEAD_DATABASE_URL=postgresql://…, or leave the role out."
        )
    try:
        _ = settings.mcp_commands
    except ValueError as error:
        raise Invalid(f"RUNSTEAD_MCP_STDIO_COMMANDS is no list of command lines: {error}.") from None
    try:
        _ = settings.origins
    except ValueError as error:
        raise Invalid(f"RUNSTEAD_CORS_ORIGINS: {error}.") from None
    if not 1 <= settings.processes <= PROCESSES_MAX:
        raise Invalid(f"RUNSTEAD_PROCESSES must be between 1 and {PROCESSES_MAX}, not {settings.processes}.")
    if settings.processes > 1 and not settings.on_postgres:
        raise Invalid(
            "Several processes share a PostgreSQL: set RUNSTEAD_DATABASE_URL=postgresql://…, or leave --processes out;"
            " one process on SQLite needs no other."
        )
    return settings


def _wants_traces(env: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's own variables say where traces go, and do not say that there shall be none."""
    if (
        env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        or env.get("OTEL_TRACES_EXPORTER") == "none"
    ):
        return False
    return bool(env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def child_environment(**settings: str) -> dict[str, str]:
    """The environment for a process of ours: this one's, with these variables instead of its own."""
    return {**os.environ, **settings}


def bare_environment(more: Mapping[str, str]) -> dict[str, str]:
    """The environment for a program of others: what every program needs of this one's, and these variables."""
    names = ("HOME", "LANG", "LC_ALL", "LOGNAME", "PATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER")
    return {**{name: os.environ[name] for name in names if name in os.environ}, **more}


def _read(name: str, text: str, kind: str) -> object:
    try:
        if kind == "int":
            return int(text)
        if kind == "float":
            return float(text)
    except ValueError:
        raise Invalid(f"{name} must be a number, not {text!r}.") from None
    if name in CHOICES:
        return _chosen(name, text)
    if kind == "bool":
        return text.strip().lower() in {"1", "true", "yes", "on"}
    if kind.startswith("Path"):
        return Path(text).expanduser()
    return Secret(text) if kind.startswith("Secret") else text


def _chosen(name: str, text: str) -> str:
    allowed = CHOICES[name]
    word = text.strip().lower()
    if word not in allowed:
        raise Invalid(f"{name} must be {', '.join(allowed[:-1])} or {allowed[-1]}, not {text!r}.")
    return word


# Provider, protocol, variable with the base URL, default base URL, variable with the key.
_PROVIDERS = (
    ("anthropic", "anthropic", "ANTHROPIC_BASE_URL", "https://api.anthropic.com", "ANTHROPIC_API_KEY"),
    ("google", "google", "GOOGLE_BASE_URL", "https://generativelanguage.googleapis.com", "GEMINI_API_KEY"),
    ("openrouter", "chat", "OPENROUTER_BASE_URL", "https://openrouter.ai/api/v1", "OPENROUTER_API_KEY"),
)
# These are there when their base URL is set; a key is optional.
_LOCAL = (
    ("ollama", "OLLAMA_BASE_URL", "OLLAMA_API_KEY"),
    ("vllm", "VLLM_API_BASE", "VLLM_API_KEY"),
    ("lmstudio", "LMSTUDIO_BASE_URL", "LMSTUDIO_API_KEY"),
    ("llamacpp", "LLAMACPP_BASE_URL", "LLAMACPP_API_KEY"),
)


def _providers(env: Mapping[str, str]) -> tuple[ProviderSettings, ...]:
    """The providers that the environment configures. A key's absence leaves a hosted provider out."""
    found: list[ProviderSettings] = []
    own = env.get("OPENAI_BASE_URL") or env.get("OPENAI_API_BASE")
    key = env.get("OPENAI_API_KEY")
    if own:
        found.append(ProviderSettings("openai", "chat", own.rstrip("/"), Secret(key) if key else None))
    elif key:
        found.append(ProviderSettings("openai", "openai", "https://api.openai.com/v1", Secret(key)))
    for name, kind, url, default, key_name in _PROVIDERS:
        key = env.get(key_name) or (env.get("GOOGLE_API_KEY") if name == "google" else None)
        if key:
            found.append(ProviderSettings(name, kind, (env.get(url) or default).rstrip("/"), Secret(key)))
    for name, url, key_name in _LOCAL:
        if base := env.get(url):
            key = env.get(key_name)
            found.append(ProviderSettings(name, "chat", _with_v1(base), Secret(key) if key else None))
    return tuple(found)


def _search(env: Mapping[str, str]) -> SearchSettings | None:
    """The search service that has a key; the first one where several have."""
    for kind, url, default, key in (
        ("tavily", "TAVILY_BASE_URL", "https://api.tavily.com", "TAVILY_API_KEY"),
        ("exa", "EXA_BASE_URL", "https://api.exa.ai", "EXA_API_KEY"),
    ):
        if found := env.get(key):
            return SearchSettings(kind, (env.get(url) or default).rstrip("/"), Secret(found))
    return None


def _with_v1(url: str) -> str:
    """Local servers are often given without the `/v1` under which they speak Chat Completions."""
    bare = url.rstrip("/")
    return bare if bare.endswith("/v1") else bare + "/v1"
