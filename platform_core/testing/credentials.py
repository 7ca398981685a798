"""Conformance kit of vendors that take a secret: a wrong one is refused, and none is shown.

Subclass ``CredentialsKit`` and give two fixtures: ``stranger``, the vendor on a real server with a secret that the
server does not know, and ``wrong_secret``, that text.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any

from loopline.platform_core.contracts import EventSource, EventStream, Lake, OnlineStore, Registry, Vendor
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.testing.parts.expect import raises

FIRST_CALLS: Mapping[type[Vendor], tuple[Callable[[Any], Any], ...]] = {
    Lake: (lambda lake: lake.version("kit/raw/x"), lambda lake: lake.tables()),
    OnlineStore: (lambda store: store.read([("kit.x.v1", ["1"])]), lambda store: store.drop("kit.x.v1")),
    EventSource: (lambda events: events.arrivals("kit/x"),),
    EventStream: (lambda events: events.ends("kit/x"),),
    Registry: (lambda registry: registry.versions("kit.x"),),
}
"""What is asked of a vendor of each contract: who is let in is answered that there is nothing."""


class CredentialsKit:
    """Subclass it, give ``stranger`` and ``wrong_secret``."""

    def test_a_wrong_secret_is_refused(self, stranger: Vendor, wrong_secret: str) -> None:
        """Nobody is answered that there is nothing where he may not look, and the error has a fix."""
        for call in _calls(stranger):
            with raises(LooplineError) as refused:
                call(stranger)
            assert refused.value.fix, wrong_secret

    def test_no_secret_shows(self, stranger: Vendor, wrong_secret: str) -> None:
        """Neither in the vendor written out, nor in an error, nor in those behind it."""
        assert wrong_secret
        shown = [repr(stranger), str(stranger)]
        for call in _calls(stranger):
            try:
                call(stranger)
            except LooplineError as error:
                shown += traceback.format_exception(error)
        assert not [text for text in shown if wrong_secret in text]


def _calls(vendor: Vendor) -> tuple[Callable[[Any], Any], ...]:
    return next(calls for contract, calls in FIRST_CALLS.items() if isinstance(vendor, contract))
