"""Private Dagster base classes that our pod components extend; see ``dagster_private``."""

from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.launcher.base import CheckRunHealthResult
from dagster._core.storage.cloud_storage_compute_log_manager import (
    CloudStorageComputeLogManager,
    PollingComputeLogSubscriptionManager,
)
from dagster._core.storage.compute_log_manager import CapturedLogSubscription, ComputeIOType
from dagster._core.storage.local_compute_log_manager import IO_TYPE_EXTENSION, LocalComputeLogManager
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass, ConfigurableClassData

__all__ = [
    "IO_TYPE_EXTENSION",
    "CapturedLogSubscription",
    "CheckRunHealthResult",
    "CloudStorageComputeLogManager",
    "ComputeIOType",
    "ConfigurableClass",
    "ConfigurableClassData",
    "ExecuteRunArgs",
    "LaunchRunContext",
    "LocalComputeLogManager",
    "PollingComputeLogSubscriptionManager",
    "WorkerStatus",
]
