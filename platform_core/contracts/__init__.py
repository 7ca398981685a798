"""Vendor contracts: one abstract class a file, each with numbered promises and a conformance kit."""

from loopline.platform_core.contracts.anchors import Anchors
from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.contracts.compute import Compute
from loopline.platform_core.contracts.drift_report import DriftReport
from loopline.platform_core.contracts.engine import Engine
from loopline.platform_core.contracts.event_source import EventSource
from loopline.platform_core.contracts.event_stream import EventStream
from loopline.platform_core.contracts.lake import Lake
from loopline.platform_core.contracts.lineage import Lineage
from loopline.platform_core.contracts.notifier import Notifier
from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.contracts.registry import Registry
from loopline.platform_core.contracts.secrets import Secrets
from loopline.platform_core.contracts.serving import Serving
from loopline.platform_core.contracts.tenant_store import TenantStore

CONTRACTS: dict[str, type[Vendor]] = {
    "lake": Lake,
    "online_store": OnlineStore,
    "event_source": EventSource,
    "engine": Engine,
    "registry": Registry,
    "compute": Compute,
    "serving": Serving,
    "drift_report": DriftReport,
    "event_stream": EventStream,
    "notifier": Notifier,
    "lineage": Lineage,
    "secrets": Secrets,
    "anchors": Anchors,
}
"""Contract by the name under which an environment file binds it."""
OPTIONAL = frozenset({"event_stream", "notifier", "lineage", "secrets", "anchors"})
"""What an environment may leave unbound, as long as no team needs it."""
SEVERAL = {"notifier": "notifiers"}
"""What an environment may bind several of: each by a name of its own, under this key at the file's top."""
OPERATORS: dict[str, type[Vendor]] = {"tenant_store": TenantStore}
"""Contract by the name of its vendors' entry points, of which no environment binds any: an operator's file does."""

__all__ = [
    "CONTRACTS",
    "OPERATORS",
    "OPTIONAL",
    "SEVERAL",
    "Anchors",
    "Compute",
    "DriftReport",
    "Engine",
    "EventSource",
    "EventStream",
    "Lake",
    "Lineage",
    "Notifier",
    "OnlineStore",
    "Registry",
    "Secrets",
    "Serving",
    "TenantStore",
    "Vendor",
]
