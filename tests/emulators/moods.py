"""How a store behind a proxy of HTTP comes to be busy, gone or silent, as a kit asks for it."""

from __future__ import annotations

from tests.emulators.faults import FaultProxy, answer, every, lose_request, slow_answer

SILENT_SECONDS = 6.0


def feel(proxy: FaultProxy, mood: str, busy: tuple[int, bytes] = (503, b"{}")) -> None:
    """Let what the proxy stands before answer so from now on; ``busy`` is the service's own way to say so."""
    proxy.clear()
    does = {"busy": answer(*busy), "gone": lose_request(), "silent": slow_answer(SILENT_SECONDS)}
    if mood in does:
        proxy.add(every(), does[mood])
