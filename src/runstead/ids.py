"""Ids: a prefix that says what the thing is, and a uuid4. Each kind is a type of its own.

Ids are made by the server only, never taken from a client. `Ids` is passed in, so tests can have ids that do not change.
"""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from typing import NewType, Protocol

AgentId = NewType("AgentId", str)
ArchiveId = NewType("ArchiveId", str)
BlockId = NewType("BlockId", str)
ConversationId = NewType("ConversationId", str)
FileId = NewType("FileId", str)
FolderId = NewType("FolderId", str)
IdentityId = NewType("IdentityId", str)
KeyId = NewType("KeyId", str)
McpServerId = NewType("McpServerId", str)
MessageId = NewType("MessageId", str)
OrganizationId = NewType("OrganizationId", str)
PassageId = NewType("PassageId", str)
ProviderId = NewType("ProviderId", str)
RunId = NewType("RunId", str)
StepId = NewType("StepId", str)
ToolId = NewType("ToolId", str)
UserId = NewType("UserId", str)

DEFAULT_USER = UserId("user-00000000-0000-4000-8000-000000000000")
DEFAULT_ORGANIZATION = OrganizationId("org-00000000-0000-4000-8000-000000000000")

IDS_PER_FETCH = 256
_SHAPE = re.compile(r"^[a-z_]+-[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$")


class Ids(Protocol):
    """Where new ids come from."""

    def uuid(self) -> str:
        """A new uuid in its usual spelling, lower-case."""
        ...


class RandomIds:
    """Random ids, for every real use. Randomness is fetched for many at a time: asking the kernel is what costs."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def uuid(self) -> str:
        """A random uuid4."""
        if self._used == len(self._pool):
            self._pool, self._used = os.urandom(16 * IDS_PER_FETCH), 0
        some = self._pool[self._used : self._used + 16]
        self._used += 16
        return str(uuid.UUID(bytes=some, version=4))


class CountingIds:
    """Ids that count up from 1; ships so that a test can compare whole answers literally."""

    def __init__(self) -> None:
        self._last = 0

    def uuid(self) -> str:
        """The next number in a uuid4's clothes."""
        self._last += 1
        return f"{self._last:08x}-0000-4000-8000-000000000000"


def has_shape(text: str, prefix: str) -> bool:
    """Whether `text` is spelled as an id of that kind."""
    return text.startswith(prefix + "-") and _SHAPE.match(text) is not None


def stable_id(prefix: str, text: str) -> str:
    """An id that follows from a text, in the shape of all ids."""
    digits = hashlib.sha256(f"{prefix}:{text}".encode()).hexdigest()
    shape = f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-8{digits[17:20]}-{digits[20:32]}"
    return f"{prefix}-{shape}"


def attempt_message_id(run_id: RunId, epoch: int, step_count: int) -> MessageId:
    """The id of what the model says in one attempt at one step, told by the attempt alone.

    So whoever goes on with a run can name what an attempt before it was saying, even where every word of it is lost.
    """
    seed = hashlib.sha256(f"{run_id}/{epoch}/{step_count}".encode()).digest()[:16]
    return MessageId("message-" + str(uuid.UUID(bytes=seed, version=4)))


def part_otid(message_id: str, index: int) -> str:
    """The otid of one part of a stored message: its uuid with the last two hex digits saying which part.

    Source: api-runs.md section 13. The last seven bits are the part's index, the eighth is the uuid's own.
    """
    bare = message_id.removeprefix("message-")
    own_bit = int(bare[-2:], 16) & 0x80
    return f"{bare[:-2]}{own_bit | (index & 0x7F):02x}"
