"""Durable queue of deferred requests and their answers, as files.

::

    <root>/deferred/waiting/<id>   a byte, "1" once a worker has begun, and the request; locked by the worker at it
    <root>/deferred/drafts/<id>    the answer, written before the prediction log
    <root>/deferred/done/<id>      the answer, once it is in the log
    <root>/deferred/calls/<id>     a byte for each attempt to tell the caller; gone once that is done

What is still being written has a name that begins with a dot.
A lock ends with its process, so that another worker goes on where one was killed.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal

import msgspec

from loopline.platform_core.errors import StoreUnavailable

_NEW, _BEGUN = b"0", b"1"
SETTLED_NS = 1_000_000_000
"""Within so long a folder's time may hide a second change."""


class PutOff(msgspec.Struct, frozen=True):
    """A request as it came: its path, its body unpacked, where binary tensors begin, and whom to tell."""

    path: str
    model: str
    body: bytes
    json_length: int | None
    accepted_at: float
    callback: str | None = None


class Result(msgspec.Struct, frozen=True):
    """What the caller would have been answered, and whom to tell."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    callback: str | None = None


_put_off = msgspec.msgpack.Decoder(PutOff).decode
_result = msgspec.msgpack.Decoder(Result).decode
"""Made at once, as ``manifest`` says: threads use them."""


class Claim:
    """A waiting request that this worker has to itself."""

    def __init__(self, name: str, file: int, content: bytes) -> None:
        self.id, self._file = name, file
        self.begun = content[:1] == _BEGUN
        self.request = _put_off(content[1:])

    def begin(self) -> None:
        """Note that the answer is kept, and that the log may hold the request from now on."""
        os.pwrite(self._file, _BEGUN, 0)

    def let_go(self) -> None:
        """Leave it to whoever comes next."""
        os.close(self._file)


class Quiet:
    """Knows of a folder that it was empty, for as long as nothing came into it.

    ``changed`` is asked before the folder is listed, ``saw`` told afterwards: what comes in between changes its time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = str(folder)
        self._empty_since: int | None = None

    def changed(self) -> int | None:
        """Return when something last came or went (nanoseconds since 1970); None where it is as empty as it was."""
        at = os.stat(self._folder).st_mtime_ns  # noqa: PTH116 - five times a second, all day
        return None if at == self._empty_since else at

    def saw(self, changed: int, *, empty: bool) -> None:
        """Take what was found in it; a time that is so young may hide a second change."""
        self._empty_since = changed if empty and time.time_ns() - changed > SETTLED_NS else None


class Spool:
    """The folders below a server's root; every worker sees the same."""

    def __init__(self, root: Path) -> None:
        self._folders = {name: root / "deferred" / name for name in ("waiting", "drafts", "done", "calls")}
        for folder in self._folders.values():
            folder.mkdir(parents=True, exist_ok=True)

    def put(self, name: str, request: PutOff) -> None:
        """Keep a request; when this returns, neither a kill nor a power cut loses it.

        Raises:
            StoreUnavailable: the disk does not take it, and nothing of it is left there.
        """
        try:
            self._write("waiting", name, _NEW + msgspec.msgpack.encode(request))
        except OSError as error:
            problem = f"the request cannot be kept: {error.strerror}"
            raise StoreUnavailable(problem, "try again later; whoever runs the server: look at its disk") from error

    def waiting(self) -> list[str]:
        """Name the requests without an answer, oldest first."""
        return _oldest_first(self._folders["waiting"])

    def quiet(self, folder: Literal["waiting", "calls"]) -> Quiet:
        """Return what tells a worker whether anything came to be answered, or to be told, by any worker."""
        return Quiet(self._folders[folder])

    def count(self) -> int:
        """Count the requests without an answer."""
        return sum(not entry.name.startswith(".") for entry in os.scandir(self._folders["waiting"]))

    def state(self, name: str) -> Result | bool:
        """Return the answer, else whether one is to come."""
        for _ in range(2):  # it may be answered between the two looks
            with suppress(FileNotFoundError):
                return _result((self._folders["done"] / name).read_bytes())
            if (self._folders["waiting"] / name).exists():
                return True
        return False

    def claim(self, name: str) -> Claim | None:
        """Take a request, None if another worker is at it or has answered it."""
        file = self._folders["waiting"] / name
        try:
            descriptor = os.open(file, os.O_RDWR)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return Claim(name, descriptor, os.pread(descriptor, os.fstat(descriptor).st_size, 0))
        except BlockingIOError:
            pass
        os.close(descriptor)
        return None

    def draft(self, name: str, result: Result) -> None:
        """Keep an answer that is not in the log yet."""
        self._write("drafts", name, msgspec.msgpack.encode(result))

    def has_answer(self, name: str) -> bool:
        """Say whether an answer was kept, whether or not everybody may see it."""
        return any((self._folders[folder] / name).exists() for folder in ("drafts", "done"))

    def finish(self, name: str) -> None:
        """Let the kept answer be the answer; again, where someone died over it."""
        draft = self._folders["drafts"] / name
        if draft.exists():
            if _result(draft.read_bytes()).callback:
                (self._folders["calls"] / name).touch()
            draft.replace(self._folders["done"] / name)
        (self._folders["waiting"] / name).unlink()

    def calls(self) -> Iterator[tuple[str, int, float]]:
        """Yield callers to be told: the request's name, attempts so far, and when the last one was."""
        for name in _oldest_first(self._folders["calls"]):
            with suppress(FileNotFoundError):
                found = (self._folders["calls"] / name).stat()
                yield name, found.st_size, found.st_mtime

    @contextmanager
    def calling(self, name: str) -> Iterator[tuple[int, float] | None]:
        """Have a caller to oneself; gives attempts so far and when the last one was, None where another worker has."""
        try:
            file = os.open(self._folders["calls"] / name, os.O_RDWR)
        except FileNotFoundError:
            yield None
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
        else:
            found = os.fstat(file)
            yield (found.st_size, found.st_mtime) if found.st_nlink else None
        finally:
            os.close(file)

    def called(self, name: str, *, done: bool) -> None:
        """Note an attempt to tell a caller; once it is done, or given up, it is forgotten."""
        file = self._folders["calls"] / name
        if done:
            file.unlink(missing_ok=True)
        else:
            with file.open("ab") as attempts:
                attempts.write(b".")

    def forget(self, before: float) -> None:
        """Remove answers from before an instant (seconds since 1970), and what a kill left half written before it."""
        for folder in self._folders.values():
            for entry in os.scandir(folder):
                with suppress(FileNotFoundError):
                    may_go = folder.name == "done" or entry.name.startswith(".")
                    if may_go and entry.stat().st_mtime < before:
                        Path(entry.path).unlink()

    def _write(self, folder: str, name: str, content: bytes) -> None:
        file = self._folders[folder] / name
        draft = file.with_name(f".{name}.{os.getpid()}")
        try:
            with draft.open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
            draft.replace(file)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        directory = os.open(file.parent, os.O_RDONLY)
        os.fsync(directory)
        os.close(directory)


def _oldest_first(folder: Path) -> list[str]:
    found: list[tuple[float, str]] = []
    for entry in os.scandir(folder):
        with suppress(FileNotFoundError):
            if not entry.name.startswith("."):
                found.append((entry.stat().st_mtime, entry.name))
    return [name for _, name in sorted(found)]


def expired(request: PutOff, keep_seconds: float) -> bool:
    """Say whether a request has waited for as long as answers are kept."""
    return time.time() - request.accepted_at > keep_seconds
