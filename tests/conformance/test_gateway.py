"""What every protocol promises behind the gateway, asked of each through a real connection to the provider server.

One suite, four implementations: Chat Completions read directly, and Responses, Anthropic and Google through their libraries.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import UTC, datetime

import pytest
from tests.provider_server import (
    Answer,
    Asked,
    Call,
    Death,
    Fault,
    Garbage,
    ProviderServer,
    Refusal,
    Silence,
    Thought,
)

from runstead.clock import SystemClock
from runstead.domain.agent import ModelSettings
from runstead.domain.message import Message, Role, TextPart, ToolCall, ToolReturn
from runstead.domain.step import Usage
from runstead.domain.tool import ToolSpec
from runstead.errors import ModelError, ModelErrorKind
from runstead.ids import DEFAULT_USER, AgentId, CountingIds, MessageId
from runstead.llm.gateway import ProviderGateway
from runstead.llm.types import CallDelta, Delta, Finish, ModelRequest, ReasoningDelta, TextDelta
from runstead.settings import ProviderSettings, Secret, Settings

KEY = "sk-test-key-12345678"
HANG_UP_S_MAX = 0.1
# A machine that is busy with other things can only make it longer: one of so many tries is without that.
TRIES = 8
WAIT_S_MAX = 45.0
KINDS = ("chat", "openai", "anthropic", "google")
WEATHER = ToolSpec(
    "weather",
    "The weather of a city.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)

MakeGateway = Callable[..., ProviderGateway]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """The protocol under test."""
    value: object = request.param
    assert isinstance(value, str)
    return value


@pytest.fixture
async def server() -> AsyncIterator[ProviderServer]:
    """The provider."""
    async with ProviderServer() as server:
        yield server


@pytest.fixture
def pauses() -> list[float]:
    """The seconds that the gateway would have waited between attempts."""
    return []


@pytest.fixture
async def make(kind: str, server: ProviderServer, pauses: list[float]) -> AsyncIterator[MakeGateway]:
    """Make a gateway that asks the server by that protocol; its waits between attempts take no time."""
    made: list[ProviderGateway] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    def gateway(**settings: float) -> ProviderGateway:
        provider = ProviderSettings("it", kind, server.base_url(kind), Secret(KEY))
        given = Settings(
            providers=(provider,),
            model_retries=int(settings.get("retries", 2)),
            model_first_token_timeout_s=settings.get("first", 20.0),
            model_idle_timeout_s=settings.get("idle", 20.0),
        )
        made.append(ProviderGateway(given, SystemClock(), ids=CountingIds(), sleep=pause, jitter=lambda: 1.0))
        return made[-1]

    yield gateway
    for one in made:
        await one.close()


def said(role: Role, text: str = "", *, number: int = 1, **more: object) -> Message:
    """A message of a conversation."""
    at = datetime(2026, 1, 2, tzinfo=UTC)
    parts = (TextPart(text),) if text else ()
    message = Message(MessageId(f"message-{number}"), DEFAULT_USER, AgentId("agent-1"), role, at, parts)
    for name, value in more.items():
        object.__setattr__(message, name, value)
    return message


def ask(
    *messages: Message, tools: tuple[ToolSpec, ...] = (), settings: ModelSettings | None = None
) -> ModelRequest:
    """A question to the provider under test."""
    return ModelRequest(
        "it/model-1",
        "Be brief.",
        messages or (said(Role.USER, "Hello?"),),
        tools,
        settings or ModelSettings(),
    )


async def all_of(gateway: ProviderGateway, request: ModelRequest) -> list[Delta]:
    """The whole answer."""
    return [delta async for delta in gateway.stream(request)]


async def failed(gateway: ProviderGateway, request: ModelRequest) -> tuple[str, ModelError]:
    """The text that was heard before the answer failed, and the failure."""
    heard: list[Delta] = []
    try:
        async for delta in gateway.stream(request):
            heard.append(delta)  # noqa: PERF401 - a comprehension would lose what came before the failure
    except ModelError as error:
        return text_of(heard), error
    pytest.fail(f"the answer did not fail: {heard}")


async def hung_up(asked: Asked) -> int:
    """When the caller of a request left without its answer, once it has."""
    await asyncio.wait_for(asked.gone.wait(), WAIT_S_MAX)
    assert asked.hung_up_ns is not None
    return asked.hung_up_ns


async def best_of(once: Callable[[int], Awaitable[float]]) -> float:
    """The shortest of a few tries, each given its number; none follows one that was short enough."""
    took_s = [await once(0)]
    while took_s[-1] >= HANG_UP_S_MAX and len(took_s) < TRIES:
        took_s.append(await once(len(took_s)))
    return min(took_s)


def text_of(deltas: list[Delta]) -> str:
    """What was said."""
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def calls_of(deltas: list[Delta]) -> list[tuple[str | None, str | None, str]]:
    """The calls, put together: id, name, arguments."""
    found: dict[int, tuple[str | None, str | None, str]] = {}
    for delta in deltas:
        if isinstance(delta, CallDelta):
            call_id, name, arguments = found.get(delta.index, (delta.id, delta.name, ""))
            found[delta.index] = (call_id, name, arguments + (delta.arguments or ""))
    return [found[index] for index in sorted(found)]


async def test_text_comes_in_pieces_and_the_finish_last(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer("Hel", "lo", " you"))
    deltas = await all_of(make(), ask())
    assert [d.text for d in deltas if isinstance(d, TextDelta)] == ["Hel", "lo", " you"]
    assert isinstance(deltas[-1], Finish)
    assert deltas[-1].reason == "stop"
    assert sum(isinstance(d, Finish) for d in deltas) == 1


async def test_the_first_piece_does_not_wait_for_the_second(
    make: MakeGateway, server: ProviderServer
) -> None:
    server.answers.append(Answer("one ", Silence()))
    async with aclosing(make().stream(ask())) as answer:
        assert await asyncio.wait_for(anext(answer), WAIT_S_MAX) == TextDelta("one ")


async def test_usage(make: MakeGateway, server: ProviderServer, kind: str) -> None:
    usage = Usage(50, 9, 30, 3 if kind == "anthropic" else 0, 0 if kind == "anthropic" else 4)
    server.answers.append(Answer("x", usage=usage))
    finish = (await all_of(make(), ask()))[-1]
    assert isinstance(finish, Finish)
    assert finish.usage == usage


async def test_thoughts_come_before_the_text(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer(Thought("Let me "), Thought("think.", signature="c2lnbmVk"), "42"))
    deltas = await all_of(make(), ask(settings=ModelSettings(thinking=True, thinking_budget_tokens=2048)))
    thoughts = [delta.text for delta in deltas if isinstance(delta, ReasoningDelta)]
    assert "".join(thoughts) == "Let me think."
    assert text_of(deltas) == "42"
    kinds = [type(delta) for delta in deltas]
    assert kinds.index(ReasoningDelta) < kinds.index(TextDelta)


async def test_one_call(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer("I look.", Call("weather", ('{"city":', ' "Oslo"}'), "call_1")))
    deltas = await all_of(make(), ask(tools=(WEATHER,)))
    ((call_id, name, arguments),) = calls_of(deltas)
    assert (call_id, name) == ("call_1", "weather")
    assert arguments.replace(" ", "") == '{"city":"Oslo"}'
    assert text_of(deltas) == "I look."
    assert isinstance(deltas[-1], Finish)
    assert deltas[-1].reason == "tool_calls"


async def test_two_parallel_calls_in_fragments(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(
        Answer(
            Call("weather", ('{"ci', 'ty": "O', 'slo"}'), "call_a"),
            Call("weather", ('{"city"', ': "Rome"', "}"), "call_b"),
        )
    )
    found = calls_of(await all_of(make(), ask(tools=(WEATHER,))))
    assert [(call_id, name) for call_id, name, _ in found] == [("call_a", "weather"), ("call_b", "weather")]
    assert [arguments.replace(" ", "") for *_, arguments in found] == ['{"city":"Oslo"}', '{"city":"Rome"}']


async def test_an_answer_that_was_cut_says_so(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer("so far", finish="length"))
    finish = (await all_of(make(), ask()))[-1]
    assert isinstance(finish, Finish)
    assert finish.reason == "length"


ERRORS = [
    (400, "bad_request", ModelErrorKind.BAD_REQUEST, 400),
    (400, "context", ModelErrorKind.CONTEXT_WINDOW, 400),
    (401, "auth", ModelErrorKind.AUTHENTICATION, 401),
    (402, "credits", ModelErrorKind.INSUFFICIENT_CREDITS, 402),
    (429, "rate", ModelErrorKind.RATE_LIMIT, 429),
    (429, "credits", ModelErrorKind.INSUFFICIENT_CREDITS, 402),
    (500, "server", ModelErrorKind.OTHER, 500),
    (503, "overloaded", ModelErrorKind.OVERLOADED, 503),
    (529, "overloaded", ModelErrorKind.OVERLOADED, 503),
]


@pytest.mark.parametrize(("status", "refusal", "expected", "answered"), ERRORS)
async def test_each_error_has_its_kind_and_never_shows_the_key(
    make: MakeGateway,
    server: ProviderServer,
    status: int,
    refusal: str,
    expected: ModelErrorKind,
    answered: int,
) -> None:
    server.answers.append(Refusal(status, refusal))
    _heard, error = await failed(make(retries=0), ask())
    assert (error.kind, error.status) == (expected, answered)
    assert KEY not in f"{error} {error.cause} {error.detail}"
    assert len(server.questions) == 1


async def test_an_error_inside_the_stream(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer("one ", Fault("overloaded")))
    heard, error = await failed(make(), ask())
    assert heard == "one "
    assert error.kind is ModelErrorKind.OVERLOADED


async def test_what_may_pass_is_tried_again_before_the_first_token(
    make: MakeGateway, server: ProviderServer, pauses: list[float]
) -> None:
    server.answers.extend((Refusal(503, "overloaded"), Refusal(500), Answer("at last")))
    heard = await all_of(make(), ask())
    assert text_of(heard) == "at last"
    assert isinstance(heard[-1], Finish)
    assert heard[-1].retries == 2
    assert len(server.questions) == 3
    assert pauses == [0.5, 1.0]


async def test_retry_after_is_honoured(
    make: MakeGateway, server: ProviderServer, pauses: list[float]
) -> None:
    server.answers.extend((Refusal(429, "rate", {"retry-after": "7"}), Answer("yes")))
    assert text_of(await all_of(make(), ask())) == "yes"
    assert pauses == [7.0]


async def test_a_long_retry_after_is_the_callers_to_wait_for(
    make: MakeGateway, server: ProviderServer
) -> None:
    server.answers.append(Refusal(429, "rate", {"retry-after": "300"}))
    with pytest.raises(ModelError) as caught:
        await all_of(make(), ask())
    assert caught.value.retry_after_s == 300
    assert len(server.questions) == 1


async def test_retries_end(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.extend(Refusal(503, "overloaded") for _ in range(9))
    with pytest.raises(ModelError) as caught:
        await all_of(make(retries=2), ask())
    assert caught.value.retries == 2
    assert len(server.questions) == 3


async def test_a_rejected_request_is_not_sent_again(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Refusal(400, "bad_request"))
    with pytest.raises(ModelError):
        await all_of(make(), ask())
    assert len(server.questions) == 1


async def test_nothing_is_tried_again_after_the_first_token(
    make: MakeGateway, server: ProviderServer
) -> None:
    server.answers.extend((Answer("one ", Death()), Answer("never")))
    heard, _error = await failed(make(), ask())
    assert heard == "one "
    assert len(server.questions) == 1


async def test_a_death_before_the_first_token_is_tried_again(
    make: MakeGateway, server: ProviderServer
) -> None:
    server.answers.extend((Answer(Death()), Answer("found")))
    assert text_of(await all_of(make(), ask())) == "found"


async def test_an_empty_answer_is_tried_again_and_then_an_error(
    make: MakeGateway, server: ProviderServer
) -> None:
    server.answers.extend((Answer(), Answer(), Answer()))
    with pytest.raises(ModelError) as caught:
        await all_of(make(retries=2), ask())
    assert caught.value.kind is ModelErrorKind.EMPTY_RESPONSE
    assert len(server.questions) == 3


async def test_garbage_is_an_error_of_the_model(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer("one ", Garbage(), "two"))
    heard, error = await failed(make(), ask())
    assert heard == "one "
    assert error.kind is ModelErrorKind.OTHER


async def test_a_silent_start_is_a_timeout(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer(Silence()))
    with pytest.raises(ModelError) as caught:
        await all_of(make(first=3.0, retries=0), ask())
    assert (caught.value.kind, caught.value.status) == (ModelErrorKind.TIMEOUT, 504)
    await hung_up(server.questions[0])


async def test_a_silence_in_the_middle_is_a_timeout(make: MakeGateway, server: ProviderServer) -> None:
    server.answers.append(Answer("one ", Silence()))
    heard, error = await failed(make(idle=0.3), ask())
    assert error.kind is ModelErrorKind.TIMEOUT
    assert heard == "one "
    await hung_up(server.questions[0])


@pytest.mark.parametrize("spoken", [(), ("one ",)], ids=["before the first token", "in the middle"])
async def test_cancelling_the_reader_hangs_up_at_once(
    make: MakeGateway, server: ProviderServer, spoken: tuple[str, ...]
) -> None:
    gateway = make()

    async def once(number: int) -> float:
        server.answers.append(Answer(*spoken, Silence()))
        heard = asyncio.Event()
        if not spoken:
            heard.set()

        async def read() -> None:
            async for _ in gateway.stream(ask()):
                heard.set()

        async with asyncio.TaskGroup() as group:
            reading = group.create_task(read())
            asked = await server.question(number)
            await heard.wait()
            cancelled_ns = time.monotonic_ns()
            reading.cancel()
        return (await hung_up(asked) - cancelled_ns) / 1e9

    assert await best_of(once) < HANG_UP_S_MAX


async def test_closing_the_answer_hangs_up_at_once(make: MakeGateway, server: ProviderServer) -> None:
    gateway = make()

    async def once(number: int) -> float:
        server.answers.append(Answer("one ", Silence()))
        async with aclosing(gateway.stream(ask())) as answer:
            assert await anext(answer) == TextDelta("one ")
            closing_ns = time.monotonic_ns()
        return (await hung_up(server.questions[number]) - closing_ns) / 1e9

    assert await best_of(once) < HANG_UP_S_MAX


async def test_a_call_without_a_result_is_given_one(make: MakeGateway, server: ProviderServer) -> None:
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    history = (
        said(Role.USER, "Weather?", number=1),
        said(Role.ASSISTANT, number=2, tool_calls=(call,)),
        said(Role.USER, "And now?", number=3),
    )
    await all_of(make(), ask(*history, tools=(WEATHER,)))
    assert "interrupted" in str(server.questions[0].body)


async def test_a_result_without_its_call_is_left_out(make: MakeGateway, server: ProviderServer) -> None:
    orphan = ToolReturn("call_9", "weather", "success", "orphaned result")
    await all_of(
        make(), ask(said(Role.TOOL, number=1, tool_return=orphan), said(Role.USER, "Hello?", number=2))
    )
    assert "orphaned result" not in str(server.questions[0].body)


async def test_a_summary_says_what_it_is(make: MakeGateway, server: ProviderServer) -> None:
    await all_of(make(), ask(said(Role.SUMMARY, "they met", number=1), said(Role.USER, "Hello?", number=2)))
    body = str(server.questions[0].body)
    assert "summary of earlier turns" in body
    assert "they met" in body


async def test_a_whole_turn_of_tools_is_sent_back(make: MakeGateway, server: ProviderServer) -> None:
    call = ToolCall("call_1", "weather", '{"city": "Oslo"}')
    history = (
        said(Role.USER, "Weather?", number=1),
        said(Role.ASSISTANT, "I look.", number=2, tool_calls=(call,)),
        said(
            Role.TOOL, number=3, tool_return=ToolReturn("call_1", "weather", "success", "snow at minus four")
        ),
    )
    await all_of(make(), ask(*history, tools=(WEATHER,)))
    body = str(server.questions[0].body)
    assert all(piece in body for piece in ("Be brief.", "Weather?", "I look.", "Oslo", "snow at minus four"))


async def test_the_list_of_models(make: MakeGateway, server: ProviderServer) -> None:
    gateway = make()
    assert [info.handle for info in await gateway.models()] == ["it/gpt-4o", "runstead/demo"]
    assert [info.handle for info in await gateway.embeddings()] == [
        "it/text-embedding-3-small",
        "runstead/ngrams",
    ]
    await gateway.models()
    assert len(server.asked) == 1
