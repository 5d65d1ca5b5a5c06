"""`runstead/ngrams`, the embedding that ships: no key, no network, and no understanding. It knows how words are spelled.

Pieces of three letters are counted in buckets, so texts lie near that are spelled alike: other endings, typing errors, and
languages without spaces between words are found, synonyms are not. Nobody is given it who does not ask for it by its name.
"""

from __future__ import annotations

import re
from math import sqrt
from zlib import crc32

from runstead.domain.embedding import EmbeddingInfo, Vector

HANDLE = "runstead/ngrams"
INFO = EmbeddingInfo(HANDLE, "runstead", "ngrams", dimensions=512, demo=True)
PIECE_CHARS = 3
_WORD = re.compile(r"\w+")


def embed(text: str) -> Vector:
    """The vector of a text, always the same for the same text."""
    counts = [0.0] * INFO.dimensions
    for word in _WORD.findall(text.casefold()):
        marked = f"^{word}$"
        for start in range(max(1, len(marked) - PIECE_CHARS + 1)):
            bucket = crc32(marked[start : start + PIECE_CHARS].encode())
            counts[bucket % INFO.dimensions] += 1.0
    # A piece that comes often says little more than one that comes once.
    weights = [sqrt(count) for count in counts]
    length = sqrt(sum(counts))
    if not length:  # a text without a letter
        return (1.0, *[0.0] * (INFO.dimensions - 1))
    return tuple(weight / length for weight in weights)
