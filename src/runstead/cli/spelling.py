"""Streams that cannot say every sign, as on a machine whose language is `C`: such a sign is spelled as JSON spells it.

So no command ends because of a name or an answer that it has to print, and a line of JSON stays JSON.
"""

from __future__ import annotations

import codecs
import io
from typing import TextIO

SPELLED = "runstead.spelled"


def spelled(error: UnicodeError) -> tuple[str, int]:
    """What stands for signs that an encoding has not, and where to go on."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    signs = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    units = (signs[at : at + 2].hex() for at in range(0, len(signs), 2))
    return "".join(f"\\u{unit}" for unit in units), error.end


def spell(*streams: TextIO) -> None:
    """Let streams spell what they cannot say."""
    codecs.register_error(SPELLED, spelled)
    for stream in streams:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=SPELLED)
