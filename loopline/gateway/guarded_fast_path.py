"""Gateway for the fast path: admits, answers and records the requests of one event loop turn together.

Who asks is found out before anything is looked up for them, also whether there is such a model: whoever may not ask
it waits as long for the answer, there or not. What a tenant has left is counted once a turn, for all its requests.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.gateway.admission import Refusal
from loopline.gateway.api_keys import Admitted, Tenant
from loopline.gateway.gateway import Exchange, Guards, id_out, request_id
from loopline.gateway.recorders import record
from loopline.platform_core.runtime.fast_path.fast_path import Caller, FastPath, Headers, Plain, asked_model, written
from loopline.platform_core.runtime.wire.http import WORTH_COMPRESSING, Response, prepared, refusal

if TYPE_CHECKING:
    from loopline.platform_core.runtime.answering.inference import Inference
    from loopline.platform_core.runtime.fast_path.turn_batch import PendingRequest, TurnBatch
    from loopline.platform_core.runtime.wire.bounds import Bounds


class _Guest:
    """A request at the door: ``pending`` goes on to be answered; of one that does not, ``failed`` says why."""

    __slots__ = ("caller", "failed", "headers", "model", "own_id", "pending", "response", "started", "url", "who")

    own_id: str
    who: Admitted
    response: Response

    def __init__(self, caller: Caller, url: bytes, model: str, headers: dict[bytes, bytes]) -> None:
        self.started = time.perf_counter()
        self.caller, self.url, self.model, self.headers = caller, url, model, headers
        self.pending: PendingRequest | None = None
        self.failed: Exception | None = None

    def refuse(self, why: Exception) -> None:
        """Let it go no further."""
        self.pending, self.failed = None, why


class GuardedFastPath(FastPath):
    """Answers what ``Gateway`` and the application behind it would, to the byte, and keeps the same of it."""

    def __init__(
        self, inference: Inference, batch: TurnBatch, bounds: Bounds, guards: Guards, plain: Plain | None = None
    ) -> None:
        super().__init__(inference, batch, bounds, plain)
        self._guards = guards
        self._guests: list[_Guest] = []

    def take(self, caller: Caller, url: bytes, headers: Headers, body: bytes) -> bool:
        """Answer a request when the turn is over; False if it has to be waited for."""
        asked = asked_model(url)
        if asked is None or self._bounds.is_full:
            return False
        one = _Guest(caller, url, asked[0], dict(headers))
        try:
            one.who = self._guards.admission.identify(one.model, one.headers)
        except Refusal as refused:
            one.who = Admitted(refused.tenant, Tenant())
            one.refuse(refused)
        else:
            one.pending = self.pending(asked, one.headers, body)
            if one.pending is None:
                return False
        one.own_id = request_id(one.headers)  # not before: one that goes another way is given its id there
        if one.pending is not None:
            one.pending.request_id = one.own_id
        if not self._guests:
            self.begin_turn()
        self._bounds.underway += 1
        self._guests.append(one)
        return True

    def over(self) -> None:
        """End the turn: count what was asked, answer, and keep."""
        guests, self._guests = self._guests, []
        self._bounds.underway -= len(guests)
        self._count(guests)
        self._batch.answer([one.pending for one in guests if one.pending is not None])
        for one in guests:
            self._respond(one)
        if self._guards.recorders:  # before the turn is over, and with it the answers go out
            record(self._guards.recorders, [_exchange(one) for one in guests])
        self._bounds.turn.over()

    def _count(self, guests: Sequence[_Guest]) -> None:
        """Take each request from what its tenant has left; who has too little left goes no further."""
        asking: defaultdict[str, list[_Guest]] = defaultdict(list)
        for one in guests:
            if one.who.is_limited:
                asking[one.who.tenant].append(one)
        for several in asking.values():
            failed: Sequence[Exception | None]
            try:
                failed = self._guards.admission.take(several[-1].who, len(several))
            except Exception as error:  # noqa: BLE001 - whether they may ask is not known, and that is an answer too
                failed = [error] * len(several)
            for one, why in zip(several, failed, strict=True):
                if why is not None:
                    one.refuse(why)

    def _respond(self, one: _Guest) -> None:
        """Let a caller have the answer; it goes out when the turn is over."""
        kept, extra = None, b""
        if one.pending is not None:
            one.response, kept = one.pending.response, one.pending.record
        elif isinstance(one.failed, Refusal):
            self._guards.refused[one.failed.reason] += 1
            one.response = refusal(one.failed.error)
            extra = b"".join([b"%b: %b\r\n" % field for field in one.failed.headers])
        elif one.failed is not None:
            one.response = refusal(one.failed)
        head = b"x-request-id: %b\r\n%b" % (id_out(one.own_id, kept), extra)
        one.caller.answered(written(one.response, one.headers, head))


def _exchange(one: _Guest) -> Exchange:
    """Return what may be kept of a request."""
    asked, said = ("POST", one.url.decode("latin-1"), one.model, one.who.tenant), (one.response.status, _size(one))
    ms, kept = (time.perf_counter() - one.started) * 1e3, one.pending.record if one.pending is not None else None
    return Exchange(*asked, *said, ms, one.own_id, kept, one.headers)


def _size(one: _Guest) -> int:
    """Return the bytes of the body as it went out."""
    size = len(one.response.body)
    return size if size < WORTH_COMPRESSING else len(prepared(one.response, one.headers)[2])
