"""The headers of a callback: the example of the specification, and secrets that are none."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from runstead.errors import Invalid
from runstead.ids import RunId
from runstead.settings import Secret
from runstead.webhooks.signature import headers, key_of

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = b'{"test": 2432232314}'
SENT_AT = datetime.fromtimestamp(1614265330, UTC)


def test_the_example_of_the_specification() -> None:
    """Known from the specification's own libraries."""
    found = headers(RunId("msg_p5jXN8AQM9LWM0D4loKWxJek"), SENT_AT, BODY, key_of(Secret(SECRET)))
    assert found["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert found["webhook-timestamp"] == "1614265330"


def test_the_prefix_may_be_left_out() -> None:
    assert key_of(Secret(SECRET.removeprefix("whsec_"))) == key_of(Secret(SECRET))


def test_without_a_secret_there_is_no_signature() -> None:
    assert "webhook-signature" not in headers(RunId("run-1"), SENT_AT, BODY, None)


@pytest.mark.parametrize(
    "secret", ["", "word", "whsec_c2hvcnQ=", "no base64 at all, but long enough to be one"]
)
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    """At the start, and without being shown."""
    with pytest.raises(Invalid, match="RUNSTEAD_WEBHOOK_SECRET") as caught:
        key_of(Secret(secret))
    assert not secret or secret not in caught.value.detail
