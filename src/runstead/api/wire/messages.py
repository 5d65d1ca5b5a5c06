"""What clients send and read of messages: requests that make runs, in the union of both generations, and stored messages.

The shapes of what is answered are `wire/events.py`'s; the types here describe them for the OpenAPI document.
"""

from __future__ import annotations

from base64 import b64decode
from typing import Annotated, Any, Literal, cast

from pydantic import BaseModel, Discriminator, Field, Tag
from typing_extensions import TypedDict

from runstead.api.wire.events import MESSAGE_TYPES
from runstead.api.wire.paging import PageQuery
from runstead.domain.message import Decision, ImagePart, Part, Role, TextPart, ToolReturn
from runstead.domain.run import MAX_STEPS_DEFAULT, BusyPolicy, RunRequest
from runstead.domain.tool import ToolSpec
from runstead.errors import Unprocessable
from runstead.runs.admit import Said
from runstead.runs.answers import Answered

MAX_STEPS_MAX = 10_000
MESSAGES_MAX = 1000
_ROLES = {"user": Role.USER, "system": Role.SYSTEM, "assistant": Role.ASSISTANT}
MessageType = Literal[
    "system_message", "user_message", "assistant_message", "reasoning_message",
    "hidden_reasoning_message", "tool_call_message", "tool_return_message",
    "approval_request_message", "approval_response_message", "summary_message", "event_message",
]  # fmt: skip
assert set(MESSAGE_TYPES) == set(MessageType.__args__), "the types are the events'"


class ImageSource(BaseModel):
    """Where an image is: at a URL, or here in base64."""

    type: Literal["url", "base64", "letta"] = "url"
    url: str | None = None
    data: str | None = None
    media_type: str | None = None
    detail: str | None = None
    file_id: str | None = None


class ContentPart(BaseModel):
    """One part of a message. Text and images are taken; other types are refused with the reason."""

    type: str = "text"
    text: str | None = None
    source: ImageSource | None = None
    reasoning: str | None = None


Content = str | list[ContentPart]


class MessageCreate(BaseModel):
    """A message to the agent."""

    type: Literal["message"] | None = "message"
    role: Literal["user", "system", "assistant"]
    content: Content
    name: str | None = None
    otid: str | None = None
    sender_id: str | None = None
    batch_item_id: str | None = None
    group_id: str | None = None


class ApprovalItem(BaseModel):
    """One answer: a person's decision on a call, or (type `tool`) the return of a call that the client ran."""

    type: Literal["approval", "tool"] = "approval"
    tool_call_id: str
    approve: bool | None = None
    reason: str | None = None
    tool_return: str | list[ContentPart] | None = None
    status: Literal["success", "error"] = "success"
    stdout: list[str] | None = None
    stderr: list[str] | None = None


class ApprovalCreate(BaseModel):
    """An answer to a pending approval, in the older form (`approve`, `approval_request_id`) or the newer (`approvals`)."""

    type: Literal["approval"] = "approval"
    approvals: list[ApprovalItem] | None = None
    approve: bool | None = None
    approval_request_id: str | None = None
    reason: str | None = None
    otid: str | None = None
    group_id: str | None = None


class ToolReturnCreate(BaseModel):
    """Returns of calls that the client ran."""

    type: Literal["tool_return"]
    tool_returns: list[ApprovalItem]
    otid: str | None = None
    group_id: str | None = None


def _kind(item: Any) -> str:
    """An item without a type is an answer if it looks like one, else a message."""
    given = cast("dict[str, object]", item if isinstance(item, dict) else getattr(item, "__dict__", {}))
    if given.get("type") in {"approval", "tool_return"}:
        return str(given["type"])
    marks = ("approval_request_id", "approve", "approvals")
    return "approval" if given.get("type") is None and any(m in given for m in marks) else "message"


Item = Annotated[
    Annotated[MessageCreate, Tag("message")]
    | Annotated[ApprovalCreate, Tag("approval")]
    | Annotated[ToolReturnCreate, Tag("tool_return")],
    Discriminator(_kind),
]


class ClientTool(BaseModel):
    """A tool that the client runs."""

    name: str = Field(min_length=1, max_length=256)
    description: str | None = None
    parameters: dict[str, object] | None = None


class RunOptions(BaseModel):
    """What every request that makes a run takes. Fields that only the reference's own models need are taken and unused.

    `busy_policy` says what shall become of it while another run works for the agent: `wait` in line, be `refuse`d with 409,
    or `interrupt` all that is before it; the server's own (`RUNSTEAD_BUSY_POLICY`) where it is left out.
    """

    messages: list[Item] | None = Field(None, max_length=MESSAGES_MAX)
    input: Content | None = None
    max_steps: int = Field(MAX_STEPS_DEFAULT, ge=1, le=MAX_STEPS_MAX)
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_return_message_types: list[MessageType] | None = None
    enable_thinking: str | bool = True
    client_tools: list[ClientTool] | None = None
    client_skills: list[dict[str, object]] | None = None
    override_model: str | None = None
    override_system: str | None = None
    system: str | None = None
    include_compaction_messages: bool = False
    return_logprobs: bool = False
    top_logprobs: int | None = None
    return_token_ids: bool = False
    busy_policy: BusyPolicy | None = None

    def inputs(self) -> tuple[Said | Answered, ...]:
        """What was sent, as the domain says it. Raises `Unprocessable` where there is nothing, or both spellings."""
        if self.messages is not None and self.input is not None:
            raise Unprocessable("Give either messages or input, not both.")
        if self.input is not None:
            return (Said(Role.USER, content_parts(self.input)),)
        if not self.messages:
            raise Unprocessable("Messages must not be empty")
        return tuple(_given(item) for item in self.messages)

    def request(self, *, stream_tokens: bool = False, include_pings: bool = True) -> RunRequest:
        """The run's request."""
        types = self.include_return_message_types
        return RunRequest(
            max_steps=self.max_steps,
            stream_tokens=stream_tokens,
            include_pings=include_pings,
            use_assistant_message=self.use_assistant_message,
            assistant_tool_name=self.assistant_message_tool_name,
            assistant_tool_argument=self.assistant_message_tool_kwarg,
            include_types=None if types is None else tuple(types),
            override_model=self.override_model,
            override_system=self.override_system or self.system,
            client_tools=tuple(_tool(tool) for tool in self.client_tools or ()),
            include_compaction_messages=self.include_compaction_messages,
        )


class StreamRequest(RunOptions):
    """A request that is answered by a stream."""

    streaming: bool = True
    stream_tokens: bool = False
    include_pings: bool = True
    background: bool = False


class SendRequest(StreamRequest):
    """A request that is answered when the run is over, or, with `streaming`, by a stream."""

    streaming: bool = False


class ConversationRequest(StreamRequest):
    """A request to a conversation: answered by a stream unless told otherwise. `agent_id` names a default one's agent."""

    agent_id: str | None = None


class AsyncRequest(RunOptions):
    """A request that is answered at once, with the run."""

    callback_url: str | None = Field(None, max_length=4096)


class CancelRequest(BaseModel):
    """Which runs shall end; all active ones of the agent if left out."""

    run_ids: list[str] | None = Field(None, max_length=1000)


class HistoryQuery(PageQuery):
    """Which stored messages shall be listed. `before` is older than that message, `after` comes behind it in the list."""

    limit: Annotated[int, Field(ge=1, le=1000)] = 100
    order_by: Literal["created_at"] = "created_at"
    group_id: str | None = None
    use_assistant_message: bool = True
    assistant_message_tool_name: str = "send_message"
    assistant_message_tool_kwarg: str = "message"
    include_err: bool | None = None
    include_return_message_types: list[MessageType] | None = None


class AgentHistoryQuery(HistoryQuery):
    """Which messages of an agent shall be listed: of all its conversations, or of one. `after` is newer in either order."""

    conversation_id: str | None = None


class ConversationHistoryQuery(HistoryQuery):
    """Which messages of a conversation shall be listed. `agent_id` says whose default one is meant."""

    agent_id: str | None = None


class MessageState(TypedDict, total=False):
    """A message of any type. Which members are there depends on `message_type`."""

    id: str
    date: str
    name: str | None
    message_type: MessageType
    otid: str | None
    sender_id: str | None
    step_id: str | None
    is_err: bool | None
    seq_id: int | None
    run_id: str | None
    content: str | list[dict[str, object]]
    source: str
    reasoning: str
    signature: str | None
    state: str
    hidden_reasoning: str | None
    tool_call: dict[str, object]
    tool_calls: list[dict[str, object]] | dict[str, object]
    tool_return: str
    tool_returns: list[dict[str, object]]
    status: str
    tool_call_id: str
    stdout: list[str] | None
    stderr: list[str] | None
    approve: bool | None
    approval_request_id: str | None
    reason: str | None
    approvals: list[dict[str, object]]
    summary: str
    compaction_stats: dict[str, object] | None
    event_type: str
    event_data: dict[str, object]


class StopState(TypedDict):
    """Why a run ended."""

    message_type: Literal["stop_reason"]
    stop_reason: str
    seq_id: int
    run_id: str


class UsageEvent(TypedDict):
    """What a run cost, as its last event says it."""

    message_type: Literal["usage_statistics"]
    completion_tokens: int
    prompt_tokens: int
    total_tokens: int
    step_count: int
    steps_messages: None
    run_ids: list[str] | None
    cached_input_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    context_tokens: int | None
    seq_id: int
    run_id: str


class ErrorEvent(TypedDict):
    """What went wrong, as the stream's `event: error` says it."""

    message_type: Literal["error_message"]
    run_id: str
    error_type: str
    message: str
    detail: str | None
    seq_id: int


class RunAnswer(TypedDict):
    """A whole run's answer."""

    messages: list[MessageState]
    stop_reason: StopState
    usage: UsageEvent
    logprobs: None
    turns: None


StreamEvent = MessageState | StopState | UsageEvent | ErrorEvent


def _given(item: MessageCreate | ApprovalCreate | ToolReturnCreate) -> Said | Answered:
    if isinstance(item, MessageCreate):
        return Said(
            _ROLES[item.role],
            content_parts(item.content),
            item.name,
            item.otid,
            item.sender_id,
            item.group_id,
        )
    if isinstance(item, ToolReturnCreate):
        return Answered(returns=tuple(_return(each) for each in item.tool_returns), otid=item.otid)
    return _answered(item)


def _answered(item: ApprovalCreate) -> Answered:
    if item.approvals is None:
        if item.approve is None or item.approval_request_id is None:
            raise Unprocessable("An approval needs approvals, or approve with approval_request_id.")
        return Answered((), (), item.approval_request_id, item.approve, item.reason, item.otid)
    decisions: list[Decision] = []
    returns: list[ToolReturn] = []
    for each in item.approvals:
        if each.type == "tool":
            returns.append(_return(each))
        elif each.approve is None:
            raise Unprocessable("Each approval needs approve: true or false.")
        else:
            decisions.append(Decision(each.tool_call_id, each.approve, each.reason))
    # A newer client that only knows the message's id puts it in the call's place.
    if len(decisions) == 1 and not returns and decisions[0].call_id.startswith("message-"):
        one = decisions[0]
        return Answered((), (), one.call_id, one.approve, one.reason, item.otid)
    return Answered(tuple(decisions), tuple(returns), otid=item.otid)


def _return(item: ApprovalItem) -> ToolReturn:
    if isinstance(item.tool_return, list):
        text = "\n".join(part.text or "" for part in item.tool_return)
    else:
        text = item.tool_return or ""
    return ToolReturn(
        item.tool_call_id, None, item.status, text, tuple(item.stdout or ()), tuple(item.stderr or ())
    )


def _tool(tool: ClientTool) -> ToolSpec:
    parameters = tool.parameters or {"type": "object", "properties": {}}
    return ToolSpec(tool.name, tool.description or "", parameters, client=True)


def content_parts(content: Content) -> tuple[Part, ...]:
    """What a content comes to. Raises `Unprocessable` for parts that cannot be sent."""
    if isinstance(content, str):
        return (TextPart(content),)
    return tuple(_part(part) for part in content)


def _is_base64(text: str) -> bool:
    try:
        return bool(b64decode("".join(text.split()), validate=True))
    except ValueError:
        return False


def _part(part: ContentPart) -> Part:
    if part.type == "text" and part.text is not None:
        return TextPart(part.text)
    if part.type == "image" and part.source is not None:
        source = part.source
        if source.url is None and source.data is None:
            raise Unprocessable("An image needs a source with url, or with data and media_type.")
        if source.data is not None and not _is_base64(source.data):
            raise Unprocessable("The data of an image must be base64, without `data:…;base64,` before it.")
        return ImagePart(source.url, source.data, source.media_type, source.detail)
    if part.type in {"reasoning", "summarized_reasoning"} and part.reasoning is not None:
        return TextPart(part.reasoning)
    raise Unprocessable(
        f"Content of type {part.type!r} cannot be sent; send text (with text) or image (with source)."
    )
