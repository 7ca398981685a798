"""Captured output of runs, stored in an object store."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

from loopline.asset_defs.private.dagster_bases import (
    IO_TYPE_EXTENSION,
    CapturedLogSubscription,
    CloudStorageComputeLogManager,
    ComputeIOType,
    ConfigurableClass,
    ConfigurableClassData,
    LocalComputeLogManager,
    PollingComputeLogSubscriptionManager,
)
from loopline.platform_core.environment import home
from loopline.platform_core.errors import StoreUnavailable, Unsupported
from loopline.pod import settings
from loopline.resources.object_store.objects import Objects

_log = logging.getLogger(__name__)
UPLOAD_SECONDS = 5
"""How often what a run prints is sent while it goes on; a pod that dies takes so much along."""


class ObjectRunLogs(CloudStorageComputeLogManager[Any], ConfigurableClass):
    """Captured on the pod's disk, sent to ``dagster.run_logs`` of the environment file; the store's keys stay there."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        self._inst_data = inst_data
        self._local = LocalComputeLogManager(str(home() / "run-logs"))
        self._subscriptions = PollingComputeLogSubscriptionManager(self)  # type: ignore[no-untyped-call]

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        """Return what Dagster makes this anew from."""
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Nothing: Dagster hands its settings around, also as arguments, where no key belongs."""
        return {}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> ObjectRunLogs:
        """Make it as Dagster does."""
        return cls(inst_data=inst_data, **config_value)

    @cached_property
    def _said(self) -> settings.DagsterSettings:
        return settings.of_environment()

    @cached_property
    def _objects(self) -> Objects:
        return Objects(self._said.run_logs, self._said.run_logs_options)

    @property
    def local_manager(self) -> LocalComputeLogManager:
        """Return where a run's output is captured first."""
        return self._local

    @property
    def upload_interval(self) -> int:
        """Return the seconds between two uploads of a run that goes on."""
        return UPLOAD_SECONDS

    def delete_logs(self, log_key: Sequence[str] | None = None, prefix: Sequence[str] | None = None) -> None:
        """Delete the logs of a step, or all below a prefix."""
        self._local.delete_logs(log_key, prefix)
        if log_key is not None:
            self._objects.delete([_key(log_key, kind, partial) for kind in ComputeIOType for partial in (False, True)])
        elif prefix:
            self._objects.clear("/".join(prefix))

    def download_url_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str | None:
        """Sign a link to a whole log, where browsers reach the store; else the web server shows logs itself."""
        seconds = self._said.run_log_link_seconds
        with _store_may_be_away():
            if seconds and self._objects.has(_key(log_key, io_type)):
                return self._objects.link(_key(log_key, io_type), seconds)
        return None

    def dispose(self) -> None:
        """Let the thread end that follows logs."""
        self._subscriptions.dispose()
        super().dispose()  # type: ignore[no-untyped-call]

    def display_path_for_type(self, log_key: Sequence[str], io_type: ComputeIOType) -> str:
        """Say where a log lies."""
        return f"{self._objects.url}/{_key(log_key, io_type)}"

    def cloud_storage_has_logs(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> bool:
        """Say whether the store has a log; one that cannot be asked has none now."""
        with _store_may_be_away():
            return self._objects.has(_key(log_key, io_type, partial))
        return False

    def upload_to_cloud_storage(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> None:
        """Send what was captured; of a run that goes on, what there is so far."""
        path = self._path(log_key, io_type)
        if path.exists() and not (partial and not path.stat().st_size):
            with _store_may_be_away():
                self._objects.write(_key(log_key, io_type, partial), path.read_bytes())

    def download_from_cloud_storage(
        self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False
    ) -> None:
        """Fetch a log to where Dagster reads it."""
        path = self._path(log_key, io_type, partial)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._objects.fetch(_key(log_key, io_type, partial), path)

    def on_subscribe(self, subscription: CapturedLogSubscription) -> None:
        """Let a page follow a log."""
        self._subscriptions.add_subscription(subscription)

    def on_unsubscribe(self, subscription: CapturedLogSubscription) -> None:
        """Let it go."""
        self._subscriptions.remove_subscription(subscription)

    def _path(self, log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> Path:
        return Path(self._local.get_captured_local_path(log_key, IO_TYPE_EXTENSION[io_type], partial=partial))


@contextmanager
def _store_may_be_away() -> Iterator[None]:
    """Let no run fail because what it prints cannot be kept."""
    try:
        yield
    except (StoreUnavailable, Unsupported) as error:
        _log.warning("%s → %s", error.problem, error.fix)


def _key(log_key: Sequence[str], io_type: ComputeIOType, partial: bool = False) -> str:
    return "/".join(log_key) + f".{IO_TYPE_EXTENSION[io_type]}" + (".partial" if partial else "")
