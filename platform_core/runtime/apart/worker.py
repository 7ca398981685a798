"""Subprocess that runs an estimator: ``python worker.py ESTIMATOR SOCKET MEMORY SHA256`` (numbers of open files).

It needs numpy, what the estimator needs, and pyarrow where the estimator takes tables; nothing of Loopline, so that
its libraries may be others. It ends when whoever started it ends.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
import pickle
import signal
import socket
import struct
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

ASKED = ("predict", "decision_function", "score_samples")
"""What may be asked of an estimator: what begins so."""
LENGTH = struct.Struct("<I")


def main() -> None:
    """Load, say what can be asked, and answer until nobody asks any more."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it ends it
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    asker, memory = socket.socket(fileno=int(sys.argv[2])), Memory(int(sys.argv[3]))
    with suppress(OSError):  # whoever asked has gone
        answer(Path(sys.argv[1]), asker, memory, sys.argv[4])


def answer(file: Path, asker: socket.socket, memory: Memory, sha256: str = "") -> None:
    """Load what has that sha256, whatever it has where none is given; say what can be asked, and answer."""
    try:
        content = file.read_bytes()
        if sha256 and hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"{file.name} is not what was signed")  # noqa: TRY301 - it is told as any other
        estimator = pickle.loads(content)  # noqa: S301 - a package is code
        known = about(estimator)
    except Exception as error:  # noqa: BLE001 - an estimator may raise anything
        send(asker, {"error": told(error)})
        return
    send(asker, known)
    while (asked := receive(asker)) is not None:
        send(asker, answered(estimator, memory, asked))


def about(estimator: Any) -> dict[str, Any]:
    """Say what is known of an estimator without asking it."""
    names = [name for name in dir(estimator) if name.startswith(ASKED) and callable(getattr(estimator, name, None))]
    bases = {base.__name__ for base in type(estimator).__mro__}
    classes = getattr(estimator, "classes_", None)
    return {
        "name": type(estimator).__name__,
        "asked": names,
        "regresses": "RegressorMixin" in bases or getattr(estimator, "_estimator_type", "") == "regressor",
        "classes": None if classes is None else np.asarray(classes, dtype=np.float64).tolist(),
    }


def answered(estimator: Any, memory: Memory, asked: dict[str, Any]) -> dict[str, Any]:
    """Let the estimator answer, and leave its numbers in the memory behind what it was given."""
    try:
        given = memory.table(asked["bytes"]) if "bytes" in asked else memory.numbers(asked["type"], asked["shape"])
        found = np.asarray(getattr(estimator, asked["asks"])(given), dtype=np.float64)
        return {"at": memory.put(found, asked["ends"]), "shape": found.shape}
    except Exception as error:  # noqa: BLE001 - an estimator may raise anything
        return {"error": told(error)}


class Memory:
    """Memory that two processes share by an open file without a name: the kernel frees it when both have ended."""

    def __init__(self, file: int) -> None:
        self.file, self._seen = file, mmap.mmap(-1, 1)

    def put(self, found: np.ndarray[Any, Any], at: int) -> int:
        """Write numbers from a place on; returns the place, which is a multiple of 8."""
        start = -(-at // 8) * 8
        self.whole(start + found.nbytes)
        np.frombuffer(self._seen, found.dtype, found.size, start)[:] = found.ravel()
        return start

    def numbers(self, kind: str, shape: list[int], at: int = 0) -> np.ndarray[Any, Any]:
        """Return what lies at a place, without a copy."""
        size = int(np.prod(shape))
        self.whole(at + size * np.dtype(kind).itemsize)
        return np.frombuffer(self._seen, kind, size, at).reshape(shape)

    def table(self, size: int) -> Any:
        """Return the Arrow table at the beginning, without a copy."""
        import pyarrow as pa

        return pa.ipc.open_stream(pa.py_buffer(self.whole(size)).slice(0, size)).read_all()

    def whole(self, size: int) -> mmap.mmap:
        """Return all of it, at least so many bytes."""
        if len(self._seen) < size:
            if os.fstat(self.file).st_size < size:
                os.ftruncate(self.file, max(2 * size, 1 << 16))
            self._seen = mmap.mmap(self.file, os.fstat(self.file).st_size)
        return self._seen


def send(to: socket.socket, said: dict[str, Any]) -> None:
    """Send a JSON object behind its length."""
    text = json.dumps(said).encode()
    to.sendall(LENGTH.pack(len(text)) + text)


def receive(asker: socket.socket) -> dict[str, Any] | None:
    """Receive one; None when the other side is gone."""
    head = _exactly(asker, LENGTH.size)
    text = _exactly(asker, LENGTH.unpack(head)[0]) if head else b""
    found: dict[str, Any] | None = json.loads(text) if text else None
    return found


def told(error: Exception) -> str:
    """Say in a line what was raised."""
    return f"{type(error).__name__}: {(str(error).splitlines() or [''])[0]}"


def _exactly(asker: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = asker.recv(size - len(found))
        if not more:
            return b""
        found += more
    return found


def _end_with(parent: int) -> None:
    """End when whoever started this ends, also while the estimator is busy."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(0)


if __name__ == "__main__":
    main()
