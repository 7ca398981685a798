"""What we use of Dagster that is not its public API, in one place; its test names what an upgrade broke."""

from collections.abc import Sequence
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

__all__ = ["AssetJob", "CheckOutcome", "finished_checks"]

FINAL = {"SUCCEEDED", "FAILED"}


@dataclass(frozen=True)
class CheckOutcome:
    """The newest finished execution of an asset check."""

    record_id: int
    passed: bool
    reason: str


def finished_checks(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]
) -> dict[dg.AssetCheckKey, CheckOutcome]:
    """Read the newest execution of each check in one query, leaving out those that are still planned.

    A record keeps one id from PLANNED to its final status, so a reader that has seen the planned one must look again.
    """
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    outcomes = {}
    for key, record in records.items():
        evaluation = record.event.asset_check_evaluation if record.event else None
        if record.status.value in FINAL and evaluation is not None:
            reason = evaluation.metadata.get("reason")
            outcomes[key] = CheckOutcome(record.id, evaluation.passed, str(reason.value) if reason else "")
    return outcomes
