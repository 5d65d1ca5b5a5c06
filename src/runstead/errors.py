"""Every error Runstead raises on purpose, as one tree.

    RunsteadError
    ├── NotFound                404  the thing is not there, or not the caller's
    ├── Gone                    410  it was there; its retention is over
    ├── Invalid                 400  the request cannot be carried out as it stands
    │   └── Unprocessable       422  the payload is malformed
    ├── TooLarge                413  the body is over the limit
    ├── Unauthenticated         401  no key, or an unknown one
    ├── Forbidden               403  a key that may not do this
    ├── Conflict                409  it contradicts what is there
    │   ├── Busy                409  another run holds the conversation
    │   └── PendingApproval     409  a tool call waits for a person
    ├── NotImplementedHere      501  known to the API, not offered here
    ├── Unavailable             503  a part is missing or the server is stopping
    │   └── OutcomeUnknown      503  a part was lost while it stored something: it may have, or not
    ├── CannotStart             500  the server's settings or surroundings do not let it start (never leaves the process)
    ├── StaleEpoch              409  the run has another owner now: write nothing (never leaves the process)
    └── ModelError              502  the model's side failed; see `ModelError.kind`

Catch broad to end a request, narrow to recover. `detail` is shown to clients: it says what to do and never holds a secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum


class RunsteadError(Exception):
    """Something went wrong inside the server."""

    status = 500
    code = "INTERNAL_SERVER_ERROR"
    retry_after_s: int | None = None

    def __init__(self, detail: str | None = None, **extra: object) -> None:
        self.detail = detail or (type(self).__doc__ or "").split("\n", 1)[0]
        self.extra: Mapping[str, object] = extra
        super().__init__(self.detail)


class NotFound(RunsteadError):
    """There is no such thing."""

    status = 404
    code = "NOT_FOUND"


class Gone(RunsteadError):
    """It was there, but its retention is over."""

    status = 410
    code = "EXPIRED"


class Invalid(RunsteadError):
    """The request cannot be carried out as it stands."""

    status = 400
    code = "INVALID_ARGUMENT"


class Unprocessable(Invalid):
    """The payload is malformed."""

    status = 422


class TooLarge(RunsteadError):
    """The request's body is larger than the server takes."""

    status = 413
    code = "INVALID_ARGUMENT"


class Unauthenticated(RunsteadError):
    """Send a key: `Authorization: Bearer <key>`."""

    status = 401
    code = "UNAUTHENTICATED"


class Forbidden(RunsteadError):
    """This key may not do that."""

    status = 403
    code = "PERMISSION_DENIED"


class Conflict(RunsteadError):
    """The request contradicts what is already there."""

    status = 409
    code = "CONFLICT"


class Busy(Conflict):
    """Another run holds this conversation."""


class PendingApproval(Conflict):
    """A tool call is waiting for approval. Approve or deny it before sending another message."""

    code = "PENDING_APPROVAL"


class NotImplementedHere(RunsteadError):
    """This server does not offer that operation."""

    status = 501
    code = "UNIMPLEMENTED"


class Unavailable(RunsteadError):
    """A part that this needs cannot be reached."""

    status = 503
    code = "UNAVAILABLE"
    retry_after_s = 1


class OutcomeUnknown(Unavailable):
    """A part was lost while it stored this; look before you send it again."""


class CannotStart(RunsteadError):
    """The server cannot start."""


class StaleEpoch(RunsteadError):
    """The run has another owner now; this one must write nothing more."""

    status = 409
    code = "CONFLICT"


class ModelErrorKind(StrEnum):
    """What went wrong at the model's side, in the words of the API's `error_type`."""

    TIMEOUT = "llm_timeout"
    RATE_LIMIT = "llm_rate_limit"
    INSUFFICIENT_CREDITS = "llm_insufficient_credits"
    AUTHENTICATION = "llm_authentication"
    BAD_REQUEST = "llm_bad_request"
    CONTEXT_WINDOW = "context_window_overflow_in_system_prompt"
    EMPTY_RESPONSE = "llm_empty_response"
    OVERLOADED = "llm_overloaded"
    UNREACHABLE = "llm_unreachable"
    OTHER = "llm_error"


_MODEL_STATUS: Mapping[ModelErrorKind, int] = {
    ModelErrorKind.TIMEOUT: 504,
    ModelErrorKind.RATE_LIMIT: 429,
    ModelErrorKind.INSUFFICIENT_CREDITS: 402,
    ModelErrorKind.AUTHENTICATION: 401,
    ModelErrorKind.BAD_REQUEST: 400,
    ModelErrorKind.CONTEXT_WINDOW: 400,
    ModelErrorKind.EMPTY_RESPONSE: 502,
    ModelErrorKind.OVERLOADED: 503,
    ModelErrorKind.UNREACHABLE: 502,
    ModelErrorKind.OTHER: 500,
}
_RETRYABLE = {
    ModelErrorKind.TIMEOUT,
    ModelErrorKind.RATE_LIMIT,
    ModelErrorKind.OVERLOADED,
    ModelErrorKind.UNREACHABLE,
    ModelErrorKind.OTHER,
}


class ModelError(RunsteadError):
    """The model's provider failed.

    `kind` is the API's error type, `detail` the text for the client (no key, no URL with one), `cause` what the provider
    said. `status` follows from the kind (api-runs.md section 2). `retryable` says whether asking again may help; `retries`
    how often that was done before this was given up.
    """

    code = "LLM_ERROR"

    def __init__(
        self, kind: ModelErrorKind, detail: str, *, cause: str = "", retryable: bool | None = None
    ) -> None:
        super().__init__(detail)
        self.kind = kind
        self.cause = cause
        self.status = _MODEL_STATUS[kind]
        self.retryable = kind in _RETRYABLE if retryable is None else retryable
        self.retries = 0
