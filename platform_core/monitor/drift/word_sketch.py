"""Text sketch for drift: counts of hashed words, of bounded size."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from loopline.platform_core.foundation.distance import Floats

BUCKETS = 512
_WORD = re.compile(r"\w+")
DISTINCT = 0.5
"""A string column is text when so many of its values are distinct ..."""
WORDS = 3.0
"""... and they hold so many words on average."""


def words(text: str) -> list[str]:
    """Cut a text into words, in small letters, without punctuation."""
    return _WORD.findall(text.lower())


@lru_cache(maxsize=100_000)
def bucket(word: str) -> int:
    """Return a word's bucket, the same in every process."""
    return zlib.crc32(word.encode()) % BUCKETS


def looks_like_text(values: Sequence[str]) -> bool:
    """Say whether strings, none of them null, are texts rather than names of categories."""
    if not values or len(set(values)) < DISTINCT * len(values):
        return False
    return float(np.mean([len(words(value)) for value in values])) >= WORDS


def counted(texts: Iterable[str]) -> tuple[Floats, Floats, Counter[str]]:
    """Return how often words fell into each bucket, words in each text, and in how many texts each word is."""
    found = [words(text) for text in texts]
    within = Counter(word for each in found for word in set(each))
    places = np.array([bucket(word) for each in found for word in each], dtype=np.int64)
    sums = np.bincount(places, minlength=BUCKETS)
    return sums.astype(np.float64), np.array([len(each) for each in found], dtype=np.float64), within


def vectors(texts: Sequence[str]) -> Floats:
    """Return one row of bucket counts a text."""
    places = [row * BUCKETS + bucket(word) for row, text in enumerate(texts) for word in words(text)]
    counts = np.bincount(np.array(places, dtype=np.int64), minlength=len(texts) * BUCKETS)
    return counts.reshape(len(texts), BUCKETS).astype(np.float64)
