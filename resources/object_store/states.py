"""State store on an object store: desired and observed states as objects.

::

    <prefix>/desired/<model>.json      written on condition that nobody else wrote meanwhile; signed, where that is said
    <prefix>/changed                   written after each: the one object that servers look at again and again
    <prefix>/observed/<server>.json    written by a server when something changes, and every few seconds
    <prefix>/packages/<sha256>.tar
"""

from __future__ import annotations

import hashlib
import math
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served, ServerUse
from loopline.platform_core.contracts.state_store import (
    GONE_SECONDS,
    SILENT_SECONDS,
    Asked,
    ServerReport,
    StateFeed,
    StateStore,
)
from loopline.platform_core.errors import CommitConflict, ContractBroken, LooplineError, StoreUnavailable
from loopline.resources.object_store import packages as model_packages
from loopline.resources.object_store.seals import Seal

if TYPE_CHECKING:
    from loopline.resources.object_store.objects import Found, Objects

_DESIRED, _CHANGED, _OBSERVED = "desired", "changed", "observed"
CLOCK_SECONDS = 300.0
"""How often this machine's clock is held beside the store's, by which a server's silence is told."""
LISTED_AGAIN_SECONDS = 30.0
"""When a server lists the states though nothing is said to have changed: who asked may have died before he said it."""
FORGOTTEN_SECONDS = 3_600.0
"""How long what a server said lies there that was killed, and so did not take it away itself."""
_ATTEMPTS = 20
OPEN = Seal()
"""Signs nothing, and looks at no signature."""


class _Held(msgspec.Struct, frozen=True):
    """A state as the store holds it: whoever asked named these folders, and these are their digests."""

    state: DesiredState
    digests: dict[str, str]


class _Signed(msgspec.Struct, frozen=True):
    """A state as it was signed, to the byte, and the note."""

    held: str
    signed: str


class ObjectStates(StateStore, StateFeed):
    """States below a prefix; ages are told by the store's own clock, whatever this machine's says.

    With a ``seal`` a state that nobody signed who may is none: servers say so and go on, who deploys writes it over.
    """

    def __init__(self, objects: Objects, seal: Seal = OPEN) -> None:
        self._objects, self._seal = objects, seal
        self._held: dict[str, tuple[str, _Held]] = {}
        self._skew: tuple[float, timedelta] | None = None
        self._changed: str | None = None
        self._listed_at = -math.inf
        self._reports: dict[str, tuple[str, ServerReport]] = {}

    def ask(self, state: DesiredState) -> None:
        """Send the packages first: a state that is there can be had."""
        key = f"{_DESIRED}/{state.model}.json"
        held: bytes | None = None
        for _ in range(_ATTEMPTS):
            found = self._objects.read(key)
            before = self._before(key, found[0]) if found else None
            if before and before.state.generation > state.generation:
                return
            held = held or self._sent(state)
            if found and before and _split(found[0])[0] == held:
                return
            if self._objects.write_if(key, self._sealed(state, held), found[1] if found else None):
                self._objects.write(_CHANGED, uuid4().hex.encode())
                self._forget_killed()
                return
        raise CommitConflict(f"{self._objects.url}/{key} is written by many at once", "ask again")

    def _forget_killed(self) -> None:
        """Delete what servers said that are gone for long: else it would be listed at each look, for ever."""
        forgotten = self._now() - timedelta(seconds=FORGOTTEN_SECONDS)
        if killed := [one.key for one in self._objects.listed(_OBSERVED) if one.written_at < forgotten]:
            self._objects.delete(killed)

    def _sent(self, state: DesiredState) -> bytes:
        digests = {str(one.package): model_packages.send(self._objects, one.package) for one in _versions(state)}
        return msgspec.json.encode(_Held(state, digests), enc_hook=str)

    def _sealed(self, state: DesiredState, held: bytes) -> bytes:
        """Return a state as it is written: signed, where states are."""
        if not self._seal.signs:
            return held
        note = self._seal.signed(self._objects.url, state.model, state.generation, held)
        return msgspec.json.encode(_Signed(held.decode(), note))

    def _before(self, key: str, content: bytes) -> _Held | None:
        """Return what is asked already; None for what somebody put there who may not, where states are signed."""
        try:
            return self._proven(key, content)
        except ContractBroken:
            if not self._seal.looks:
                raise
            return None

    def _proven(self, key: str, content: bytes) -> _Held:
        """Return a state, if one signed it who may, where that is asked.

        Raises:
            ContractBroken: it is none, or not signed so.
        """
        inner, note = _split(content)
        held = _decode_held(key, inner)
        if self._seal.looks:
            model, state = Path(key).stem, held.state
            if state.model != model:
                raise ContractBroken(f"{key} is a desired state of {state.model}", "see who writes to the store")
            self._seal.hold(note, self._objects.url, model, state.generation, inner)
        return held

    def drop(self, model: str) -> None:
        """Ask for nothing of a model any more."""
        key = f"{_DESIRED}/{model}.json"
        if self._objects.has(key):
            self._objects.delete([key])
            self._objects.write(_CHANGED, uuid4().hex.encode())

    def models(self) -> set[str]:
        """Return of which models something is asked."""
        return {Path(one.key).stem for one in self._objects.listed(_DESIRED)}

    def wanted(self, model: str) -> DesiredState | None:
        """Read one object."""
        key = f"{_DESIRED}/{model}.json"
        found = self._objects.read(key)
        held = self._before(key, found[0]) if found else None
        return held.state if held else None

    def asked(self, packages: Path, token: str | None = None) -> Asked | None:
        """See whether anything changed; then list the states, read those that did, and fetch packages not here yet."""
        changed = self._objects.etag(_CHANGED, self._changed)
        is_young = time.monotonic() - self._listed_at < LISTED_AGAIN_SECONDS
        if token and changed == self._changed and is_young:
            return None
        listed = self._objects.listed(_DESIRED)
        newest = hashlib.sha256("\n".join(f"{one.key} {one.etag}" for one in listed).encode()).hexdigest()
        if newest == token:
            self._changed, self._listed_at = changed, time.monotonic()
            return None
        states: dict[str, DesiredState] = {}
        problems: dict[str, str] = {}
        for one in listed:
            model = Path(one.key).stem
            try:
                states[model] = self._here(self._read(one), packages)
            except StoreUnavailable:
                raise
            except (LooplineError, OSError) as error:
                problems[model] = str(error)
        self._changed, self._listed_at = changed, time.monotonic()  # what could not be read has not been seen
        return Asked("" if problems else newest, states, problems)

    def _read(self, one: Found) -> _Held:
        before = self._held.get(one.key)
        if before and before[0] == one.etag:
            return before[1]
        found = self._objects.read(one.key)
        if found is None:
            raise ContractBroken(f"{self._objects.url}/{one.key} was taken away", "deploy the model again")
        held = self._proven(one.key, found[0])
        self._held[one.key] = (found[1], held)
        return held

    def _here(self, held: _Held, packages: Path) -> DesiredState:
        def here(served: Served | None) -> Served | None:
            if served is None:
                return None
            return replace(
                served, package=model_packages.fetch(self._objects, held.digests[str(served.package)], packages)
            )

        state, stable = held.state, here(held.state.stable)
        assert stable is not None
        return replace(state, stable=stable, candidate=here(state.candidate), shadow=here(state.shadow))

    def report(self, server: str, report: ServerReport) -> None:
        """Write one object."""
        self._objects.write(f"{_OBSERVED}/{server}.json", msgspec.json.encode(report))

    def leave(self, server: str) -> None:
        """Delete the server's object."""
        self._objects.delete([f"{_OBSERVED}/{server}.json"])

    def observed(self, model: str) -> list[ObservedState]:
        """Look at each server's object; what says nothing of the model is on its way to it."""
        on_its_way = ObservedState(None, ready=False)
        return [_moving(server, age, report.models.get(model, on_its_way)) for server, age, report in self._living()]

    def shadows(self, model: str) -> list[ObservedState]:
        """Look at each server's object."""
        return [report.shadows[model] for _, _, report in self._living() if model in report.shadows]

    def uses(self) -> list[ServerUse]:
        """Name each process by its server as well, since every pod's processes have the same few numbers."""
        return [replace(use, server=f"{server}.{use.server}") for server, _, one in self._living() for use in one.uses]

    def _living(self) -> list[tuple[str, timedelta, ServerReport]]:
        """Return each server with the age of what it said; one that is gone for good is left out."""
        now, living = self._now(), []
        for one in self._objects.listed(_OBSERVED):
            if (age := now - one.written_at) <= timedelta(seconds=GONE_SECONDS):
                report = self._report(one)
                living.extend([(Path(one.key).stem, age, report)] if report else [])
        return living

    def _now(self) -> datetime:
        """Return the time by the store's clock; how far it is ahead of this machine's is looked at now and then."""
        if self._skew is None or time.monotonic() - self._skew[0] > CLOCK_SECONDS:
            self._skew = time.monotonic(), self._objects.now() - datetime.now(UTC)
        return datetime.now(UTC) + self._skew[1]

    def _report(self, one: Found) -> ServerReport | None:
        before = self._reports.get(one.key)
        if before and before[0] == one.etag:
            return before[1]
        found = self._objects.read(one.key)
        if found is None:  # it left since it was listed
            return None
        try:
            report = _report(found[0])
        except msgspec.MsgspecError as error:
            raise ContractBroken(
                f"{one.key} is no report: {error}", "let servers and platform be of one release"
            ) from error
        self._reports[one.key] = (found[1], report)
        return report


def _versions(state: DesiredState) -> list[Served]:
    return [one for one in (state.stable, state.candidate, state.shadow) if one is not None]


def _moving(server: str, age: timedelta, state: ObservedState) -> ObservedState:
    """Return what a server said, unless that is too long ago."""
    if age <= timedelta(seconds=SILENT_SECONDS):
        return state
    problem = (
        f"the server {server} has told nothing for {age.total_seconds():.0f} s: it hangs, is cut off from the store, "
        "or is gone → look at its process; it is forgotten after a minute"
    )
    return replace(state, ready=False, problem=problem)


def _path(wanted: type, value: Any) -> Any:
    return wanted(value)


def _decode_held(key: str, content: bytes) -> _Held:
    try:
        return _held(content)
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"{key} is no desired state: {error}", "deploy the model again") from error


def _split(content: bytes) -> tuple[bytes, str]:
    """Return a state's own bytes, and the note that signs it, "" where none does."""
    try:
        found = _signed(content)
    except msgspec.MsgspecError:
        return content, ""
    return found.held.encode(), found.signed


_signed = msgspec.json.Decoder(_Signed).decode
_held = msgspec.json.Decoder(_Held, dec_hook=_path).decode
_report = msgspec.json.Decoder(ServerReport).decode
