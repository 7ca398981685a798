"""Merkle tree of RFC 6962, section 2.1: leaf and node hashes, roots, inclusion and consistency proofs."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

HASH_BYTES = 32
EMPTY = hashlib.sha256(b"").digest()


def leaf_hash(body: bytes) -> bytes:
    """Return the hash of an entry."""
    return hashlib.sha256(b"\0" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two subtrees side by side."""
    return hashlib.sha256(b"\1" + left + right).digest()


def split(joined: bytes, size: int = HASH_BYTES) -> list[bytes]:
    """Cut joined hashes apart."""
    return [joined[at : at + size] for at in range(0, len(joined), size)]


class Peaks:
    """A tree that only grows, known by its whole subtrees: one for each bit of its size, the largest first."""

    def __init__(self, size: int = 0, hashes: Iterable[bytes] = ()) -> None:
        self.size, self.hashes = size, list(hashes)

    def add(self, leaf: bytes) -> None:
        """Put a leaf at the right end."""
        size = self.size
        while size & 1:
            leaf, size = node_hash(self.hashes.pop(), leaf), size >> 1
        self.hashes.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """Return the hash of all of it."""
        if not self.hashes:
            return EMPTY
        *rest, root = self.hashes
        for peak in reversed(rest):
            root = node_hash(peak, root)
        return root


class Tree:
    """A tree with all its leaves, which gives the root of each size it ever had, and proofs."""

    def __init__(self, leaves: Sequence[bytes]) -> None:
        self.size = len(leaves)
        self._levels = [list(leaves)]
        sha256 = hashlib.sha256
        while len(below := self._levels[-1]) > 1:
            pairs = zip(below[::2], below[1::2], strict=False)
            self._levels.append([sha256(b"\1" + left + right).digest() for left, right in pairs])

    def root(self, size: int | None = None) -> bytes:
        """Return the root when the tree had ``size`` leaves."""
        size = self.size if size is None else size
        return self._root(0, size) if size else EMPTY

    def inclusion(self, seq: int, size: int) -> list[bytes]:
        """Return the hashes by which leaf ``seq`` leads to the root of ``size``, the lowest first."""
        return self._inclusion(seq, 0, size)

    def consistency(self, old: int, size: int) -> list[bytes]:
        """Return the hashes that show the tree of ``old`` leaves to be how that of ``size`` begins."""
        return self._consistency(old, 0, size, whole=True) if 0 < old < size else []

    def _root(self, low: int, high: int) -> bytes:
        count = high - low
        if count & (count - 1) == 0 and low % count == 0:
            level = count.bit_length() - 1
            return self._levels[level][low >> level]
        middle = low + _half(count)
        return node_hash(self._root(low, middle), self._root(middle, high))

    def _inclusion(self, seq: int, low: int, high: int) -> list[bytes]:
        if high - low == 1:
            return []
        middle = low + _half(high - low)
        if seq < middle:
            return [*self._inclusion(seq, low, middle), self._root(middle, high)]
        return [*self._inclusion(seq, middle, high), self._root(low, middle)]

    def _consistency(self, old: int, low: int, high: int, *, whole: bool) -> list[bytes]:
        if old == high:
            return [] if whole else [self._root(low, high)]
        middle = low + _half(high - low)
        if old <= middle:
            return [*self._consistency(old, low, middle, whole=whole), self._root(middle, high)]
        return [*self._consistency(old, middle, high, whole=False), self._root(low, middle)]


def _half(count: int) -> int:
    """Return the largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)
