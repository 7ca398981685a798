"""Texts as counts of hashed words: a bounded sketch, whatever the language holds."""

from __future__ import annotations

import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from platform_core.monitor.distance import Floats

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
    sums, lengths, within = np.zeros(BUCKETS), [], Counter[str]()
    for text in texts:
        found = words(text)
        lengths.append(len(found))
        within.update(set(found))
        np.add.at(sums, [bucket(word) for word in found], 1)
    return sums, np.asarray(lengths, dtype=np.float64), within


def vectors(texts: Sequence[str]) -> Floats:
    """Return one row of bucket counts a text."""
    found = np.zeros((len(texts), BUCKETS))
    for row, text in enumerate(texts):
        np.add.at(found[row], [bucket(word) for word in words(text)], 1)
    return found
