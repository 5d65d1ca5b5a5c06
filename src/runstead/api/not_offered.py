"""What the API knows and this server does not offer: answered 501, with words that name the operation and say why.

A client that calls one learns that it is not its mistake. What is only of a hosted service, or internal to the reference,
is not here: it is 404, which clients take as the answer that they expect from a server of one's own.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from fastapi import Response

from runstead.api.router import answers, v1_router
from runstead.errors import NotImplementedHere

_BY_REASON: Mapping[str, str] = {
    "There are no groups of agents here; let agents speak to one another through tools.": """
        GET /v1/groups/
        POST /v1/groups/
        GET /v1/groups/count
        GET /v1/groups/{group_id}
        PATCH /v1/groups/{group_id}
        DELETE /v1/groups/{group_id}
        PATCH /v1/groups/{group_id}/blocks/attach/{block_id}
        PATCH /v1/groups/{group_id}/blocks/detach/{block_id}
        GET /v1/groups/{group_id}/messages
        POST /v1/groups/{group_id}/messages
        POST /v1/groups/{group_id}/messages/stream
        PATCH /v1/groups/{group_id}/messages/{message_id}
        PATCH /v1/groups/{group_id}/reset-messages
        GET /v1/agents/{agent_id}/groups
    """,
    "Batches are not offered; POST /v1/agents/{agent_id}/messages/async takes any number of messages at once.": """
        GET /v1/messages/batches
        POST /v1/messages/batches
        GET /v1/messages/batches/{batch_id}
        PATCH /v1/messages/batches/{batch_id}/cancel
        GET /v1/messages/batches/{batch_id}/messages
    """,
    "Everything that a client starts here is a run: see /v1/runs/.": """
        GET /v1/jobs/
        GET /v1/jobs/active
        GET /v1/jobs/{job_id}
        DELETE /v1/jobs/{job_id}
        PATCH /v1/jobs/{job_id}/cancel
    """,
    "Sandboxes are set up in the server's environment, not by clients.": """
        GET /v1/sandbox-config/
        POST /v1/sandbox-config/
        POST /v1/sandbox-config/e2b/default
        PATCH /v1/sandbox-config/environment-variable/{env_var_id}
        DELETE /v1/sandbox-config/environment-variable/{env_var_id}
        POST /v1/sandbox-config/local
        POST /v1/sandbox-config/local/default
        POST /v1/sandbox-config/local/recreate-venv
        PATCH /v1/sandbox-config/{sandbox_config_id}
        DELETE /v1/sandbox-config/{sandbox_config_id}
        GET /v1/sandbox-config/{sandbox_config_id}/environment-variable
        POST /v1/sandbox-config/{sandbox_config_id}/environment-variable
    """,
    "MCP servers that want OAuth are not offered; give a token as auth_header and auth_token.": """
        GET /v1/tools/mcp/oauth/callback
        GET /v1/tools/mcp/oauth/callback/{session_id}
    """,
    "Composio is a service of others; register its MCP server: POST /v1/mcp-servers/.": """
        GET /v1/tools/composio/apps
        GET /v1/tools/composio/apps/{composio_app_name}/actions
        POST /v1/tools/composio/{composio_action_name}
    """,
    "Tools are not written by a model here; send their source: POST /v1/tools/.": """
        POST /v1/tools/generate-tool
    """,
    "Steps have no transactions with a billing service here; GET /v1/steps/{step_id} says what a step cost.": """
        PATCH /v1/steps/{step_id}/transaction/{transaction_id}
    """,
    "Answers for voice services are not offered; POST /v1/chat/completions with the agent's id as model.": """
        POST /v1/voice-beta/{agent_id}/chat/completions
    """,
    "There is nothing of the kind here.": """
        GET /v1/embeddings/total_storage_size
        POST /v1/auth
    """,
}


@dataclass(frozen=True, slots=True)
class NotOffered:
    """An operation of the API that is answered 501."""

    method: str
    path: str
    reason: str


def _operation(line: str, reason: str) -> NotOffered:
    method, _, path = line.strip().partition(" ")
    return NotOffered(method, path, reason)


OPERATIONS = tuple(
    _operation(line, reason) for reason, text in _BY_REASON.items() for line in text.strip().splitlines()
)


def _refusing(operation: NotOffered) -> Callable[[], Coroutine[Any, Any, Response]]:
    @answers(type(None))
    async def refuse() -> Response:
        raise NotImplementedHere(
            f"{operation.method} {operation.path} is not offered by this server. {operation.reason}"
        )

    return refuse


router = v1_router("not offered")
for _each in OPERATIONS:
    router.add_api_route(
        _each.path.removeprefix("/v1"),
        _refusing(_each),
        methods=[_each.method],
        include_in_schema=False,
    )
