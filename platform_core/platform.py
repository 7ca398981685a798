"""The platform object: the bound vendors, the ledger and the clock of an environment."""

from __future__ import annotations

from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, cast

from loopline.platform_core import environment
from loopline.platform_core.bindings import made
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import clock, logs, tracing
from loopline.platform_core.signing.trust import trust_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from loopline.platform_core.contracts import (
        Anchors,
        Compute,
        DriftReport,
        Engine,
        EventSource,
        EventStream,
        Lake,
        Lineage,
        Notifier,
        OnlineStore,
        Registry,
        Secrets,
        Serving,
        Vendor,
    )
    from loopline.platform_core.environment import Environment
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.quotas.lake import BoundedLake
    from loopline.platform_core.quotas.storage import Storage
    from loopline.platform_core.signing.trust import Proof, Trust


class Platform:
    """Everything that a domain function needs; made once a process and passed along."""

    def __init__(self, bound: Environment) -> None:
        self.environment = bound
        self._bounded: BoundedLake | None = None
        self.clock = clock.chosen(bound.clock)
        logs.start()
        tracing.start(bound.revealed("traces"))

    @classmethod
    def open(cls, path: Path | None = None, site: str | None = None) -> Platform:
        """Bind the environment file in force, or the one given, as this process's site or the one given has it."""
        return cls(environment.read(path, site=site))

    @property
    def home(self) -> Path:
        """Return the folder in which this installation keeps its state."""
        return self.environment.home

    @property
    def lake(self) -> Lake:
        """Return the bound lake; where storage has a quota, one that holds its writers to that."""
        lake = cast("Lake", self.environment.bindings["lake"])
        storage = self.storage
        if storage is None:
            return lake
        if self._bounded is None or self._bounded.bounded is not lake:  # it may be bound anew, with another secret
            from loopline.platform_core.quotas.lake import BoundedLake

            self._bounded = BoundedLake.of(lake, storage)
        return self._bounded

    @cached_property
    def storage(self) -> Storage | None:
        """Return what the environment keeps, where it has a quota of it."""
        limit = self.environment.quotas.storage_bytes
        if limit is None:
            return None
        from loopline.platform_core.quotas.storage import Storage

        bound = self.environment.bindings
        kept = [name for name in ("lake", "registry", "serving") if name in bound]
        return Storage(self.home / "quotas", limit, {name: partial(_stored, bound, name) for name in kept})

    @property
    def online_store(self) -> OnlineStore:
        """Return the bound online store."""
        return cast("OnlineStore", self.environment.bindings["online_store"])

    @property
    def event_source(self) -> EventSource:
        """Return the bound event source."""
        return cast("EventSource", self.environment.bindings["event_source"])

    @property
    def event_stream(self) -> EventStream:
        """Return the bound event stream.

        Raises:
            InvalidEnvironment: the environment binds none.
        """
        if "event_stream" not in self.environment.bindings:
            raise InvalidEnvironment(
                f"{self.environment.path}: no vendor is bound for event_stream, which a streaming source needs",
                "add a line such as 'event_stream: {vendor: folder, root: ...}'",
            )
        return cast("EventStream", self.environment.bindings["event_stream"])

    @property
    def engine(self) -> Engine:
        """Return the bound engine."""
        return cast("Engine", self.environment.bindings["engine"])

    @property
    def registry(self) -> Registry:
        """Return the bound registry."""
        return cast("Registry", self.environment.bindings["registry"])

    @property
    def compute(self) -> Compute:
        """Return the bound compute."""
        return cast("Compute", self.environment.bindings["compute"])

    @property
    def serving(self) -> Serving:
        """Return the bound serving."""
        return cast("Serving", self.environment.bindings["serving"])

    @property
    def drift_report(self) -> DriftReport:
        """Return the bound drift report."""
        return cast("DriftReport", self.environment.bindings["drift_report"])

    @property
    def lineage(self) -> Lineage:
        """Return the bound lineage.

        Raises:
            InvalidEnvironment: the environment binds none.
        """
        if "lineage" not in self.environment.bindings:
            raise InvalidEnvironment(
                f"{self.environment.path}: no vendor is bound for lineage",
                "add a line such as 'lineage: {vendor: openlineage, url: ...}'",
            )
        return cast("Lineage", self.environment.bindings["lineage"])

    @property
    def secrets(self) -> Secrets:
        """Return who keeps secrets.

        Raises:
            InvalidEnvironment: the environment binds nobody.
        """
        if "secrets" not in self.environment.bindings:
            raise InvalidEnvironment(
                f"{self.environment.path}: no vendor is bound for secrets",
                "add a line such as 'secrets: {vendor: environment_variables}'",
            )
        return cast("Secrets", self.environment.bindings["secrets"])

    @property
    def anchors(self) -> Anchors | None:
        """Return where the audit's checkpoints are kept besides; None where the environment binds nothing."""
        return cast("Anchors | None", self.environment.bindings.get("anchors"))

    @property
    def notifiers(self) -> tuple[Notifier, ...]:
        """Return the bound notifiers, in the file's order; an environment may have none."""
        return tuple(cast("Notifier", notifier) for notifier in self.environment.notifiers.values())

    @cached_property
    def trust(self) -> Trust | None:
        """Return whose signatures of packages count; None where packages are not signed.

        Raises:
            InvalidEnvironment: a trainer's key is none.
        """
        return trust_of(self.environment)

    def proof(self, ref: ModelRef, version: str) -> Proof | None:
        """Return what a version's package must prove before it is loaded; None where packages are not signed."""
        return None if self.trust is None else self.trust.of(ref.dotted, version)

    @cached_property
    def ledger(self) -> Ledger:
        """Open the ledger, brought to the newest schema."""
        from loopline.platform_core.loop.ledger.ledger import Ledger

        return Ledger.open(self.environment.revealed("ledger"))

    def close(self) -> None:
        """Let every vendor and the ledger go."""
        for vendor in (*made(self.environment.bindings), *made(self.environment.notifiers)):
            vendor.close()
        if "ledger" in self.__dict__:
            self.ledger.close()


def _stored(bound: Mapping[str, Vendor], name: str) -> int | None:
    """Ask a binding what it keeps, whichever vendor it is by now."""
    return bound[name].kept_bytes()
