"""Table of conformance kits by contract."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Kit:
    """A kit, ``module`` and ``name`` below this package, and the fixture that is the vendor.

    ``capability`` is what the vendor must claim for any of its tests. ``without`` says why a kit does not run on a
    bound vendor outside of tests; "" where it does.
    """

    contract: str
    module: str
    name: str
    fixture: str
    capability: str = ""
    without: str = ""

    def load(self) -> type[Any]:
        """Import the class."""
        return getattr(import_module(f"loopline.platform_core.testing.{self.module}"), self.name)  # type: ignore[no-any-return]


NOBODY_READS = "what is sent cannot be read back here, and no receiver is busy at will: its kit runs in its tests"
SERVES = "its kit brings endpoints of its own up and asks them under load: it runs in the vendor's tests"
KEEPS = "somebody has to write secrets into the store, and make it refuse: it runs in the vendor's tests"
FOR_EVER = "what it writes is there for ever, as it should be: its kit runs in the vendor's tests"
KITS = (
    Kit("lake", "lake", "LakeKit", "lake"),
    Kit("online_store", "online_store", "OnlineStoreKit", "store"),
    Kit("event_source", "event_source", "EventSourceKit", "events"),
    Kit("engine", "engines.engine_rows", "RowChecksKit", "engine"),
    Kit("engine", "engine", "EngineKit", "engine"),
    Kit(
        "engine",
        "engines.engine_histories",
        "EngineHistoriesKit",
        "engine",
        without="it needs Hypothesis, a tool of tests",
    ),
    Kit("registry", "registry", "RegistryKit", "registry"),
    Kit("compute", "compute", "ComputeKit", "compute"),
    Kit("serving", "serving", "ServingKit", "serving", without=SERVES),
    Kit("drift_report", "drift_report", "DriftReportKit", "report"),
    Kit("event_stream", "event_stream", "EventStreamKit", "events"),
    Kit("event_stream", "event_stream_groups", "EventStreamGroupsKit", "events", capability="transactions"),
    Kit("notifier", "notifier", "NotifierKit", "notifier", without=NOBODY_READS),
    Kit("lineage", "lineage", "LineageKit", "lineage", without=NOBODY_READS),
    Kit("secrets", "secrets", "SecretsKit", "secrets", without=KEEPS),
    Kit("secrets", "secrets", "SecretsServerKit", "secrets", capability="remote", without=KEEPS),
    Kit("anchors", "anchors", "AnchorsKit", "anchors", without=FOR_EVER),
)
"""Every kit of a contract that an environment file binds."""


def of(contract: str) -> list[Kit]:
    """Return the kits of a contract."""
    return [kit for kit in KITS if kit.contract == contract]
