"""How tests are shared out among pytest-xdist's workers: a file is one's, and so are all that need one slow server."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

SHARED = {
    "tests/resources/kafka/": "kafka",
    "tests/loopline/conformance/test_servers.py": "kafka",
    "tests/loopline/cli/test_score_stream.py": "kafka",
    "tests/platform_core/ingestion/test_stream_schemas.py": "kafka",
    "tests/loopline/portal/": "portal",
    "tests/loopline/watchdog/": "watchdog",
    "tests/differential/test_feast_": "feast",
    "tests/loopline/up/rights/": "dagster of two teams",
    "tests/tenants/": "two tenants",
    "tests/resources/pyspark/": "spark",
    "tests/platform_core/corrections/test_histories.py": "spark",
    "tests/plugins/retail/test_every_engine.py": "spark",
}
"""By the beginnings of paths, what is started once for all of them: a broker, or a JVM with Spark."""
LONGEST = (
    # of heavy tests
    "tests/system/test_daemon.py",
    "tests/system/test_backfills.py",
    "tests/loopline/pod/test_pods.py",
    "tests/system/test_rollouts_under_load.py",
    "tests/wheel/test_wheel.py",
    "tests/docs/test_tutorial.py",
    "tests/loopline/conformance/test_servers.py",
    "tests/resources/pyspark/test_engine.py",
    "tests/resources/sagemaker/test_compute.py",
    "tests/resources/object_store/test_serving.py",
    "tests/resources/delta/test_lake_faults.py",
    "tests/platform_core/migration/test_kills.py",
    "tests/resources/vertex/test_serving.py",
    "tests/resources/azure_ml/test_serving.py",
    "tests/resources/sagemaker/test_serving.py",
    "tests/resources/local/test_kills.py",
    "tests/loopline/subject/test_subject.py",
    "tests/platform_core/runtime/test_deferred.py",
    "tests/resources/local/test_serving.py",
    "tests/platform_core/corrections/test_skew_over_corrections.py",
    # of all others
    "tests/loopline/portal/test_actions.py",
    "tests/walk/test_every_kind.py",
    "tests/tenants/test_attempts.py",
    "tests/loopline/watchdog/test_rounds.py",
    "tests/resources/subprocess/test_compute.py",
    "tests/resources/kafka/test_event_stream.py",
    "tests/loopline/up/rights/test_attempts.py",
    "tests/resources/delta/test_lake_on_clouds.py",
    "tests/asset_defs/test_dagster_private.py",
    "tests/asset_defs/test_lineage.py",
    "tests/resources/dynamodb/test_online_store.py",
    "tests/platform_core/training/test_vectors.py",
    "tests/docs/test_reference.py",
    "tests/platform_core/test_promotions.py",
    "tests/loopline/cli/test_promote.py",
    "tests/loopline/cli/test_model_commands.py",
    "tests/test_arrows.py",
    "tests/platform_core/monitor/test_quality_look.py",
    "tests/resources/object_store/test_event_source.py",
    "tests/resources/evidently/test_drift_report.py",
    "tests/platform_core/training/test_task.py",
    "tests/test_imports.py",
)
"""The files whose tests take longest; workers begin with them."""


def scope(file: str) -> str:
    """Return what has one worker: what a file shares with others, or the file."""
    return next((shared for beginning, shared in SHARED.items() if file.startswith(beginning)), file)


class Together(LoadFileScheduling):
    """Gives a worker a file at a time, or all files that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(str(super()._split_scope(nodeid)))
