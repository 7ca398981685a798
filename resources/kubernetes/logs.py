"""Log of a pod: streamed line by line, and searched for a task's answer."""

from __future__ import annotations

import threading
from typing import Any

from loopline.resources.kubernetes.deadline import write_line
from loopline.resources.kubernetes.link import Link
from loopline.resources.kubernetes.task_payload import LINE, Answer, InLog, from_log

_LAST_SECONDS = 10.0
"""How long the end of a log may take to arrive, once its container has ended."""
_PAUSE_SECONDS = 1.0


class Log:
    """Streams one pod's log, line by line, from its first one on."""

    def __init__(self, link: Link, namespace: str, prefix: str = "") -> None:
        self.link, self.namespace, self.prefix = link, namespace, prefix
        self.over = threading.Event()
        self.thread: threading.Thread | None = None

    def follow(self, pod: str) -> None:
        """Begin, if nobody has; it ends with the container."""
        if self.thread is None:
            self.thread = threading.Thread(target=self._copy, args=(pod,), name=f"log-{pod}", daemon=True)
            self.thread.start()

    def finish(self, pod: str) -> None:
        """Wait for the last lines."""
        self.follow(pod)
        self.over.set()
        if self.thread:
            self.thread.join(_LAST_SECONDS)

    def _copy(self, pod: str) -> None:
        """Copy until the container ends; a stream that breaks is begun again, without the lines that were copied."""
        copied = 0
        while True:
            try:
                copied += self._stream(pod, copied)
            except Exception:  # noqa: BLE001 - a log that cannot be read does not end what it tells of
                self.over.wait(_PAUSE_SECONDS)
            else:
                return
            if self.over.is_set():
                return

    def _stream(self, pod: str, skip: int) -> int:
        stream = self.link.core.read_namespaced_pod_log(pod, self.namespace, follow=True, _preload_content=False)
        count = 0
        with stream:
            for line in _lines(stream):
                count += 1
                if count > skip and not line.startswith(LINE):
                    write_line(f"{self.prefix}{line}")
        return max(0, count - skip)


def answer_in_log(link: Link, namespace: str, pod: str, place: InLog) -> Answer | None:
    """Read an answer from the end of a pod's log; None: it is not there whole."""
    wanted = {"tail_lines": place.lines + 1, "_preload_content": False}  # as text, some clients give "b'...'"
    found = link.call_or_none(link.core.read_namespaced_pod_log, pod, namespace, **wanted)
    return from_log(place, found.read().decode(errors="replace").splitlines() if found else [])


def _lines(stream: Any) -> Any:
    rest = b""
    for chunk in stream.stream(amt=None, decode_content=False):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")
