"""Claims of job names in a bucket, because Vertex AI accepts a display name twice.

A claim is an object that only one caller can have created. When the job is made its number is written there. A claim
without a number is somebody's who is at it, or who died: it is taken over once it has not changed for some minutes.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from loopline.resources.vertex.bucket import NEW, Bucket

STALE_SECONDS = 180.0
"""Longer than a caller at work leaves its claim as it is: one request, and looking whether it did anything."""


@dataclass(frozen=True)
class Claim:
    """A claim as it lies there; ``job`` is the full name of the job that was made, empty before."""

    holder: str
    job: str
    generation: int


class Claims:
    """The claims of one process."""

    def __init__(self, bucket: Bucket) -> None:
        self.bucket, self.holder = bucket, uuid.uuid4().hex
        self._seen: dict[str, tuple[int, float]] = {}

    def read(self, name: str) -> Claim | None:
        """Return a name's claim; None: there is none."""
        found = self.bucket.get_versioned(_object(name))
        if found is None:
            return None
        said = json.loads(found[0])
        return Claim(said["holder"], said["job"], found[1])

    def take(self, name: str, is_there: Callable[[str], bool]) -> Claim | None:
        """Take a name for this caller; None: somebody else has it. ``is_there`` says of a job whether it is."""
        there = self.read(name)
        if there is not None and not self._is_free(name, there, is_there):
            return None
        return self._write(name, "", there.generation if there else NEW)

    def made(self, name: str, claim: Claim, job: str) -> bool:
        """Write down which job was made; False: the claim was taken over."""
        return self._write(name, job, claim.generation) is not None

    def release(self, name: str, claim: Claim) -> None:
        """Let a name go for which nothing was made."""
        self.bucket.drop_if(_object(name), claim.generation)

    def _is_free(self, name: str, there: Claim, is_there: Callable[[str], bool]) -> bool:
        if there.job:
            return not is_there(there.job)
        generation, since = self._seen.get(name, (-1, 0.0))
        if generation != there.generation:
            since = time.monotonic()
            self._seen[name] = (there.generation, since)
        return time.monotonic() - since > STALE_SECONDS

    def _write(self, name: str, job: str, generation: int) -> Claim | None:
        holder = f"{self.holder}-{uuid.uuid4().hex[:8]}"
        content = json.dumps({"holder": holder, "job": job}).encode()
        written = self.bucket.put_if(_object(name), content, generation)
        if written is not None:
            return Claim(holder, job, written)
        there = self.read(name)  # a lost answer: what lies there may be ours
        return there if there is not None and there.holder == holder else None


def _object(name: str) -> str:
    return f"{name}/claim.json"
