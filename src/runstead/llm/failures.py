"""From what a provider answers to a `ModelError`: the only place that reads status codes and the wording of errors.

Providers say "too long" and "no money" with the same status as "malformed", so the text decides where the status cannot. No
text that leaves here holds a key: what looks like one is cut out, and so is the key the request was made with.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, cast

import orjson

from runstead.errors import ModelError, ModelErrorKind
from runstead.outward.addresses import Refused

MESSAGE_CHARS_MAX = 600
RETRY_AFTER_S_MAX = 600

_TOO_LONG = re.compile(
    r"context[_ ]length|context[_ ]window|context[_ ]size|maximum context|prompt is too long|too many tokens"
    r"|input token count .{0,40}exceeds|exceeds? the (model'?s? )?(maximum|max) (number of |input )?tokens"
    r"|input is too long",
    re.IGNORECASE,
)
_NO_MONEY = re.compile(
    r"insufficient[_ ](quota|credits?|balance|funds)|credit balance is too low|billing[_ ]hard[_ ]limit"
    r"|exceeded your current quota|requires more credits",
    re.IGNORECASE,
)
_OVERLOADED = re.compile(r"overloaded", re.IGNORECASE)
_RATE = re.compile(r"rate[_ ]?limit|resource_exhausted", re.IGNORECASE)
_AUTHENTICATION = re.compile(
    r"authentication_error|invalid[_ ]api[_ ]key|permission_(error|denied)", re.IGNORECASE
)
_KEYS = re.compile(
    r"\b(?:sk|pk|rk|gsk|xai|hf)[-_][A-Za-z0-9_\-*]{6,}|\bAIza[\w\-*]{10,}|(?<=[Bb]earer )\S+|(?<=[?&]key=)[^&\s\"']+"
)
_BY_STATUS: Mapping[int, ModelErrorKind] = {
    401: ModelErrorKind.AUTHENTICATION,
    402: ModelErrorKind.INSUFFICIENT_CREDITS,
    403: ModelErrorKind.AUTHENTICATION,
    408: ModelErrorKind.TIMEOUT,
    429: ModelErrorKind.RATE_LIMIT,
    503: ModelErrorKind.OVERLOADED,
    504: ModelErrorKind.TIMEOUT,
    529: ModelErrorKind.OVERLOADED,
}
_SAYS: Mapping[ModelErrorKind, str] = {
    ModelErrorKind.TIMEOUT: "took too long",
    ModelErrorKind.RATE_LIMIT: "is limiting the rate of requests",
    ModelErrorKind.INSUFFICIENT_CREDITS: "says that the account has no credit left",
    ModelErrorKind.AUTHENTICATION: "did not accept the key; check the provider's API key",
    ModelErrorKind.BAD_REQUEST: "rejected the request",
    ModelErrorKind.CONTEXT_WINDOW: "says that the conversation does not fit in the model's context window",
    ModelErrorKind.OVERLOADED: "is overloaded",
    ModelErrorKind.OTHER: "failed",
}


def from_status(
    provider: str, status: int, body: bytes | str, *, retry_after: str | None = None, key: str | None = None
) -> ModelError:
    """The error for an answer that is not a success. `retry_after` is the header as it came."""
    said = _message(body)
    kind = _kind(status, body if isinstance(body, str) else body.decode("utf-8", "replace"))
    error = _error(provider, kind, said, note=f"HTTP {status}", key=key)
    error.retry_after_s = _retry_after_s(retry_after)
    return error


def from_stream(provider: str, error: object, *, key: str | None = None) -> ModelError:
    """The error for an error object that came in the middle of a stream whose status was 200."""
    text = orjson.dumps(error, default=str).decode()
    code = _code(error)
    kind = _kind(code or 500, text)
    return _error(
        provider, kind, _message(orjson.dumps({"error": error}, default=str)), note="in the stream", key=key
    )


def unreachable(provider: str, why: str, *, key: str | None = None) -> ModelError:
    """The error for a provider that could not be connected to."""
    text = f"{provider} cannot be reached: {redacted(why, key)}"
    return ModelError(ModelErrorKind.UNREACHABLE, text, cause=redacted(why, key))


def refused(why: Refused) -> ModelError:
    """The error for a provider that is where this server may not go."""
    text = str(why)
    return ModelError(ModelErrorKind.UNREACHABLE, text[:1].upper() + text[1:], cause=text, retryable=False)


def malformed(provider: str, what: str, *, key: str | None = None) -> ModelError:
    """The error for an answer that is not what the protocol says."""
    said = redacted(what, key)
    return ModelError(ModelErrorKind.OTHER, f"{provider} sent a malformed answer: {said}", cause=said)


def incomplete(provider: str) -> ModelError:
    """The error for an answer that stopped before its end."""
    return ModelError(
        ModelErrorKind.OTHER,
        f"stream incomplete: {provider} ended its answer in the middle",
        cause="stream incomplete",
    )


def without_keys(text: str) -> str:
    """`text` without anything that looks like a key."""
    return _KEYS.sub("…", text)


def redacted(text: str, key: str | None = None) -> str:
    """`text`, at most MESSAGE_CHARS_MAX of it, without anything that is or looks like a key."""
    if key:
        text = text.replace(key, "…")
    return _KEYS.sub("…", text)[:MESSAGE_CHARS_MAX]


def _error(provider: str, kind: ModelErrorKind, said: str, *, note: str, key: str | None) -> ModelError:
    said = redacted(said, key)
    text = f"{provider} {_SAYS[kind]} ({note})" + (f": {said}" if said else ".")
    return ModelError(kind, text, cause=said)


def _kind(status: int, text: str) -> ModelErrorKind:
    if _NO_MONEY.search(text):
        return ModelErrorKind.INSUFFICIENT_CREDITS
    if status in {400, 413, 422, 500} and _TOO_LONG.search(text):
        return ModelErrorKind.CONTEXT_WINDOW
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    if status < 500:
        return _kind_in_words(text, ModelErrorKind.BAD_REQUEST)
    return _kind_in_words(text, ModelErrorKind.OTHER)


def _kind_in_words(text: str, otherwise: ModelErrorKind) -> ModelErrorKind:
    if _OVERLOADED.search(text):
        return ModelErrorKind.OVERLOADED
    if _RATE.search(text):
        return ModelErrorKind.RATE_LIMIT
    if _AUTHENTICATION.search(text):
        return ModelErrorKind.AUTHENTICATION
    return otherwise


def _code(error: object) -> int | None:
    """An HTTP status inside an error object, where a provider puts one."""
    if isinstance(error, dict):
        fields = cast("dict[str, object]", error)
        for name in ("code", "status", "status_code"):
            value = fields.get(name)
            if isinstance(value, int) and 400 <= value < 600:
                return value
            if isinstance(value, str) and value.isdecimal() and 400 <= int(value) < 600:
                return int(value)
        if "invalid_request" in str(fields.get("type", "")):
            return 400
    return None


def _message(body: bytes | str) -> str:
    """What a person would want to read of an error's body."""
    try:
        value: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        text = body if isinstance(body, str) else body.decode("utf-8", "replace")
        return " ".join(re.sub(r"<[^>]*>", " ", text).split())
    if isinstance(value, list) and value:
        value = cast("list[Any]", value)[0]
    for name in ("error", "message", "detail"):
        if isinstance(value, dict) and name in value:
            value = cast("dict[str, Any]", value)[name]
    return value if isinstance(value, str) else orjson.dumps(value, default=str).decode()


def _retry_after_s(header: str | None) -> int | None:
    """The header's seconds, bounded; a date is not read, because clocks of two machines differ."""
    try:
        seconds = float(header) if header else None
    except ValueError:
        return None
    return (
        None if seconds is None or not 0 <= seconds < math.inf else min(math.ceil(seconds), RETRY_AFTER_S_MAX)
    )
