"""Traffic split: sends a fixed share of entity keys to the candidate."""

from __future__ import annotations

import hashlib

_BUCKETS = 10_000


class Split:
    """Sends a fixed share of an endpoint's keys to the candidate.

    A key's bucket depends on the model's name and the key alone: the same key always meets the same fate, and the keys
    of a smaller percent are among those of a larger one.
    """

    def __init__(self, model: str, percent: int) -> None:
        self.percent = percent
        salt = hashlib.blake2b(model.encode(), digest_size=16).digest()
        self._hash = hashlib.blake2b(digest_size=8, salt=salt)

    def takes(self, key: str) -> bool:
        """Say whether the key goes to the candidate."""
        hashed = self._hash.copy()
        hashed.update(key.encode())
        return int.from_bytes(hashed.digest(), "big") % _BUCKETS < self.percent * (_BUCKETS // 100)
