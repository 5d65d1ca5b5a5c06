"""The headers of a callback, after the Standard Webhooks specification: which one it is, when it was sent, and who sent it.

The id is the same for every attempt, so a receiver can tell a repetition. Pure.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Mapping
from datetime import datetime

from runstead.errors import Invalid
from runstead.ids import RunId
from runstead.settings import Secret

PREFIX = "whsec_"
KEY_BYTES_MIN, KEY_BYTES_MAX = 24, 64


def key_of(secret: Secret) -> bytes:
    """The key that a secret stands for: base64 of 24 to 64 bytes, with `whsec_` before it or without. Raises `Invalid`."""
    try:
        key = base64.b64decode(secret.reveal().removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not KEY_BYTES_MIN <= len(key) <= KEY_BYTES_MAX:
        raise Invalid(
            f"RUNSTEAD_WEBHOOK_SECRET must be the base64 of {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes, with {PREFIX}"
            " before it or without: openssl rand -base64 32."
        )
    return key


def headers(run_id: RunId, sent_at: datetime, body: bytes, key: bytes | None) -> Mapping[str, str]:
    """What goes with a body. Without a key there is no signature."""
    at = str(int(sent_at.timestamp()))
    found = {"webhook-id": run_id, "webhook-timestamp": at, "content-type": "application/json"}
    if key is not None:
        mac = hmac.digest(key, b"%b.%b.%b" % (run_id.encode(), at.encode(), body), "sha256")
        found["webhook-signature"] = f"v1,{base64.b64encode(mac).decode()}"
    return found
