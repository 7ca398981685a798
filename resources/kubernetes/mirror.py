"""Mirrors models, cycles and rollouts from the ledger as read-only Kubernetes objects.

``python -m loopline.resources.kubernetes.mirror`` is a process of its own. The ledger stays what is true. An object is
written when what it shows has changed, and no more often than the budget of API calls lets; what must wait comes first
in the next round. Without the API server, or without this process, nothing but the picture grows old.
"""

from __future__ import annotations

import argparse
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any

from loopline.platform_core import environment
from loopline.platform_core.errors import LooplineError, Refused
from loopline.platform_core.foundation import liveness, logs
from loopline.platform_core.foundation.signals import set_by_signals
from loopline.platform_core.platform import Platform
from loopline.resources.kubernetes.link import Link, api_message
from loopline.resources.kubernetes.mirrored import API_VERSION, KINDS, Mirrored, newest_entry, objects
from loopline.resources.kubernetes.settings import PlainSignIn

if TYPE_CHECKING:
    from loopline.platform_core.loop.ledger.ledger import Ledger

MANAGER = "loopline-mirror"
LABELS = {"app.kubernetes.io/managed-by": MANAGER}
SETTLED_SECONDS = 60
"""For so long after the last entry one with a smaller number may still appear."""
LIST_SECONDS = 600
"""So often it is looked whether somebody changed or deleted an object by hand."""
LONG_SECONDS, RESTS = 0.1, 20
"""A look that takes longer, as of a thousand models, is rested from: 20 times as long, so 5 % of a core at most."""
_PAGE = 500
_LOG = logging.getLogger(__name__)
Key = tuple[str, str, str]


@dataclass
class Budget:
    """So many API calls a minute, a sixth of them at once at most."""

    calls_a_minute: float
    _left: float = 0
    _at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Begin full."""
        self._left = self.calls_a_minute / 6

    def take(self) -> bool:
        """Take one call; False when none is left now."""
        now = time.monotonic()
        self._left = min(self.calls_a_minute / 6, self._left + (now - self._at) * self.calls_a_minute / 60)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@dataclass
class Mirror:
    """Brings a cluster's objects to what a ledger says, round by round; ``calls`` counts the API's."""

    ledger: Ledger
    link: Link
    namespace: str
    budget: Budget
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    calls: int = 0
    _shown: dict[Key, dict[str, Any]] = field(default_factory=dict)
    _wanted: dict[Key, Mirrored] = field(default_factory=dict)
    _pending: dict[Key, None] = field(default_factory=dict)
    _seen: int = -1
    _changed_at: float = 0
    _listed_at: float | None = None
    _told: str = ""
    _rests_until: float = 0

    def round(self) -> None:
        """Look once, and write what has changed as far as the budget goes.

        Raises:
            StoreUnavailable: ledger or API were away. Refused: the cluster does not know the kinds.
        """
        if self._listed_at is None or time.monotonic() - self._listed_at > LIST_SECONDS:
            self._list()
        self._look()
        for key in list(self._pending):
            if not self.budget.take():
                return
            self._settle(key)
            self._pending.pop(key, None)

    def _look(self) -> None:
        if time.monotonic() < self._rests_until:
            return
        newest = newest_entry(self.ledger)
        if newest != self._seen:
            self._changed_at = time.monotonic()
        elif time.monotonic() - self._changed_at > SETTLED_SECONDS and self._wanted:
            return
        began = time.thread_time()
        self._wanted = {one.key: one for one in objects(self.ledger, self.namespace, self.elsewhere)}
        self._seen = newest
        self._queue_differences()
        if (took := time.thread_time() - began) > LONG_SECONDS:
            self._rests_until = time.monotonic() + RESTS * took

    def _queue_differences(self) -> None:
        """Put what differs behind what waits already."""
        for key, one in self._wanted.items():
            if _differs(self._shown.get(key), one):
                self._pending.setdefault(key)
        for key in set(self._shown) - set(self._wanted):
            self._pending.setdefault(key)

    def _list(self) -> None:
        shown: dict[Key, dict[str, Any]] = {}
        for kind in KINDS:
            more: str | None = ""
            while more is not None:
                selector = ",".join(f"{name}={value}" for name, value in LABELS.items())
                page = self._call(self._kind(kind).get, label_selector=selector, limit=_PAGE, _continue=more).to_dict()
                for found in page["items"]:
                    shown[kind, found["metadata"]["namespace"], found["metadata"]["name"]] = found
                more = page["metadata"].get("continue") or None
        self._shown, self._listed_at = shown, time.monotonic()
        self._wanted = {}  # so that the next look compares all anew
        self._rests_until = 0

    def _settle(self, key: Key) -> None:
        """Write or delete one object; what the API refuses is told, and keeps no other back."""
        wanted = self._wanted.get(key)
        try:
            if wanted is None:
                self._delete(key)
            else:
                self._write(wanted)
        except self.link.refusal as error:
            said = f"{key[0]} {key[1]}/{key[2]}: {api_message(error)}"
            if said != self._told:
                _LOG.warning("the API refuses %s", said)
            self._told = said

    def _write(self, one: Mirrored) -> None:
        resource = self._kind(one.kind)
        found = self._shown.get(one.key)
        if found is None or found["spec"] != one.spec:
            body = _head(one) | {"spec": dict(one.spec)}
            found = self._call(
                resource.server_side_apply, body=body, field_manager=MANAGER, force_conflicts=True
            ).to_dict()
        generation = found["metadata"]["generation"]
        status = dict(one.status) | {
            "observedGeneration": generation,
            "conditions": _conditions(one, found, generation),
        }
        apply = resource.subresources["status"].server_side_apply
        body = _head(one) | {"status": {name: value for name, value in status.items() if value is not None}}
        self._shown[one.key] = self._call(
            apply, body=body, name=one.name, namespace=one.namespace, field_manager=MANAGER, force_conflicts=True
        ).to_dict()

    def _delete(self, key: Key) -> None:
        kind, namespace, name = key
        try:
            self._call(self._kind(kind).delete, name=name, namespace=namespace)
        except self.link.refusal as error:
            if error.status != 404:  # noqa: PLR2004 - gone already
                raise
        self._shown.pop(key, None)

    def _kind(self, kind: str) -> Any:
        from kubernetes.dynamic.exceptions import ResourceNotFoundError

        try:
            return self.link.resource(API_VERSION, kind)
        except ResourceNotFoundError as error:
            fix = "let the chart bring its definitions: helm upgrade with mirror.enabled"
            raise Refused(f"this cluster knows no {kind} of {API_VERSION}", fix) from error

    def _call(self, call: Any, **how: Any) -> Any:
        self.calls += 1
        return self.link.call(call, **how)


def _head(one: Mirrored) -> dict[str, Any]:
    metadata = {"name": one.name, "namespace": one.namespace, "labels": LABELS}
    return {"apiVersion": API_VERSION, "kind": one.kind, "metadata": metadata}


def _differs(found: Mapping[str, Any] | None, one: Mirrored) -> bool:
    if found is None or found.get("spec") != one.spec:
        return True
    status = found.get("status") or {}
    if any(status.get(name) != value for name, value in one.status.items()):
        return True
    shown = {c["type"]: (c["status"] == "True", c["reason"], c["message"]) for c in status.get("conditions", [])}
    return shown != one.conditions or status.get("observedGeneration") != found["metadata"]["generation"]


def _conditions(one: Mirrored, found: Mapping[str, Any], generation: int) -> list[dict[str, Any]]:
    """Return conditions as Kubernetes has them: the time is that of the last change of ``status``."""
    before = {condition["type"]: condition for condition in (found.get("status") or {}).get("conditions", [])}
    now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    made = []
    for kind, (holds, reason, message) in one.conditions.items():
        status = str(holds)
        same = before.get(kind, {}).get("status") == status
        at = before[kind]["lastTransitionTime"] if same else now
        said = {"type": kind, "status": status, "reason": reason, "message": message}
        made.append(said | {"lastTransitionTime": at, "observedGeneration": generation})
    return made


def run(mirror: Mirror, every_seconds: float, stop: Event, beat: Callable[[], None] = lambda: None) -> None:
    """Go round until told to stop, with a ``beat`` after each; what is away now is asked again in the next round."""
    told = ""
    while not stop.is_set():
        try:
            mirror.round()
            told = ""
        except LooplineError as error:
            if str(error) != told:
                _LOG.warning("%s", error)
            told = str(error)
        except mirror.link.refusal as error:
            if api_message(error) != told:
                _LOG.warning("the API refuses to list: %s", api_message(error))
            told = api_message(error)
        beat()
        stop.wait(every_seconds)


def _named(said: str) -> tuple[str, str]:
    """Read ``TEAM=NAMESPACE``."""
    team, _, namespace = said.partition("=")
    if not team or not namespace:
        raise argparse.ArgumentTypeError(f"{said!r} is not TEAM=NAMESPACE")
    return team, namespace


def main() -> None:
    """Mirror until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m loopline.resources.kubernetes.mirror", description=__doc__)
    parser.add_argument("--namespace", default="loopline-{team}", help="where a team's objects are; may hold {team}")
    parser.add_argument(
        "--of",
        action="append",
        default=[],
        type=_named,
        metavar="TEAM=NAMESPACE",
        help="a team whose namespace is another one",
    )
    parser.add_argument("--kubeconfig", type=Path, help="the usual one, or the pod's own account, when left out")
    parser.add_argument("--every", type=float, default=5, metavar="SECONDS")
    parser.add_argument("--calls-a-minute", type=float, default=600, help="budget of API calls")
    given = parser.parse_args()
    logs.start()
    platform = Platform(environment.read(only=()))
    link = Link(PlainSignIn(given.kubeconfig))
    budget = Budget(given.calls_a_minute)
    try:
        with set_by_signals() as stop:
            mirror = Mirror(platform.ledger, link, given.namespace, budget, dict(given.of))
            run(mirror, given.every, stop, partial(liveness.beat, environment.home()))
    finally:
        link.close()
        platform.close()


if __name__ == "__main__":
    main()
