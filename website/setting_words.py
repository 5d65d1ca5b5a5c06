"""What each setting means, for the page of settings: one entry a field of `Settings`. A test fails while one is missing."""

from __future__ import annotations

from collections.abc import Mapping

# By group, in the page's order. Units and defaults come from the setting itself.
WORDS: Mapping[str, Mapping[str, str]] = {
    "Where it listens, where its data is": {
        "host": "The address to listen on. On any but a loopback address it wants a key or a password.",
        "port": "The port; 0 takes a free one. A worker takes a free one unless a port is named.",
        "data_dir": "The folder of the database, its lock, the sealing key and installed packages.",
        "server_password": "A password that every caller must show; it may do everything.",
        "body_bytes_max": "The largest body of a request.",
        "keepalive_s": "After so long without an event a stream is sent a `ping`.",
        "cors_origins": "Sites whose pages may ask in a browser, commas between them; `*`: any"
        " ([operating](operating.md#pages-of-other-sites)).",
    },
    "Database, processes": {
        "database_url": "A PostgreSQL in place of SQLite in the data folder ([PostgreSQL](postgres.md)).",
        "database_pool_size": "Connections of PostgreSQL that a process holds at most.",
        "sqlite_synchronous": "`FULL` also survives a loss of power ([what it costs](durability.md)).",
        "redis_url": "The Redis that several processes share ([several processes](several_processes.md)).",
        "role": "What this process does: `all`, `api` (serves) or `worker` (works on runs).",
        "processes": "So many processes on one port; on PostgreSQL.",
        "reuse_port": "Let other processes of this machine listen on the same port; `processes` sets it.",
        "family_dir": "Where processes on one port tell each other their numbers; `processes` sets it.",
        "family_place": "Which of them this one is; `processes` sets it.",
        "supervisor_pid": "The process that watches this one; `processes` sets it, nobody else needs to.",
    },
    "Runs": {
        "runs_max": "Runs that this process works on at a time; more of them wait.",
        "busy_policy": "What a message to a busy agent does: `wait`, `refuse` or `interrupt` ([order](order.md)).",
        "lease_s": "After so long without a renewal the owner of a run has lost it, and another goes on.",
        "reconcile_s": "How often runs are looked for that have work and no owner.",
        "drain_s": "What running runs get to end in when the server stops.",
        "events_keep_s": "For so long the events of a finished run can be replayed; then 410.",
        "sweep_s": "How often what is older is deleted.",
        "approval_expires_s": "After so long without an answer a question is answered for the person; 0: never"
        " ([approvals](approvals.md)).",
        "approval_default": "What is answered then: `deny` or `approve`.",
        "callback_timeout_s": "What the receiver of a callback gets to answer in.",
        "callback_attempts_max": "How often a callback is tried.",
        "callback_allow_hosts": "Inward places that callbacks may be posted to ([callbacks](callbacks.md)).",
        "webhook_secret": "What callbacks are signed with: `openssl rand -base64 32` ([callbacks](callbacks.md)).",
    },
    "Models": {
        "model_timeout_s": "The longest answer of a model, from question to end.",
        "model_first_token_timeout_s": "How long a model may think before it says anything.",
        "model_idle_timeout_s": "The longest pause within an answer.",
        "model_retries": "How often a model is asked again after a failure; only while it has said nothing.",
        "embedding_model": "The embedding model of archival memory that names none; empty: by words ([memory](memory.md)).",
        "provider_allow_hosts": "Inward places where the providers may be that actors bring ([providers](providers.md)).",
        "provider_trace": "Keep what goes to models and what comes back, a step ([clients](clients.md)).",
    },
    "Tools": {
        "tool_timeout_s": "What a call of a tool may take.",
        "sandbox": "How user code is fenced in: `auto`, `bubblewrap`, `process` or `off` ([the sandbox](sandbox.md)).",
        "sandbox_network": "Give user code the machine's network, this server included.",
        "sandbox_memory_mb": "Memory of a process of user code; twice that for all processes of a call.",
        "sandbox_calls_max": "Calls in the sandbox at a time; others wait.",
        "sandbox_python": "Another interpreter for user code; empty is the server's own.",
        "mcp_stdio_commands": "Command lines that may be run as MCP servers, commas between them ([MCP](mcp.md)).",
        "mcp_allow_hosts": "Inward places where MCP servers may be ([MCP](mcp.md)).",
        "mcp_connect_timeout_s": "What connecting to an MCP server may take.",
        "mcp_call_timeout_s": "What a call of an MCP server's tool may take.",
        "mcp_idle_s": "After so long without a call a connection is closed.",
        "mcp_connections_max": "Connections to MCP servers at a time.",
        "file_bytes_max": "The largest file of a folder ([folders](folders.md)).",
        "file_chars_max": "The most text of a file.",
        "files_bytes_max": "The most that an actor's files may hold together.",
        "fetch_private": "Let `fetch_webpage` read addresses inside of the server's network.",
        "secrets_key": "What agents' secrets are sealed with: `openssl rand -base64 32`. Needed on PostgreSQL; else a"
        " file in the data folder is made.",
    },
    "Logs and traces": {
        "log_level": "What is logged to standard error: `DEBUG`, `INFO`, `WARNING` or `ERROR`.",
        "log_json": "Log lines as JSON.",
        "traces": "Send OpenTelemetry traces; on by itself where `OTEL_EXPORTER_OTLP_ENDPOINT` or"
        " `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` is set, unless `OTEL_SDK_DISABLED` or `OTEL_TRACES_EXPORTER`"
        " says otherwise ([traces and logs](telemetry.md)).",
        "trace_content": "Put questions, answers, arguments and returns into spans.",
    },
}
# Fields that are read from variables of their own, which the page names in tables.
OF_THEIR_OWN = {"providers", "search"}
# Variables that are none of a server's settings.
FOR_CLIENTS: Mapping[str, tuple[str, str]] = {
    "RUNSTEAD_URL": ("LETTA_BASE_URL", "Where the server is (default `http://127.0.0.1:8283`)."),
    "RUNSTEAD_KEY": ("LETTA_API_KEY", "The key or password to show."),
}
