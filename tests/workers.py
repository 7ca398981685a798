"""How tests are shared out among pytest-xdist's workers: a file is one's, and so are all that need one slow server."""

from __future__ import annotations

from xdist.scheduler import LoadFileScheduling

SHARED = {
    "tests/resources/kafka/": "kafka",
    "tests/loopline/conformance/test_servers.py": "kafka",
    "tests/loopline/cli/test_score_stream.py": "kafka",
    "tests/platform_core/ingestion/test_stream_schemas.py": "kafka",
    "tests/loopline/up/rights/": "dagster of two teams",
    "tests/tenants/": "two tenants",
    "tests/resources/pyspark/": "spark",
    "tests/platform_core/corrections/test_histories.py": "spark",
    "tests/plugins/retail/test_every_engine.py": "spark",
}
"""By the beginnings of paths, what is started once for all of them: a broker, or a JVM with Spark."""
LONGEST = (
    # those under Dagster's daemon, a run of their own
    "tests/wheel/test_wheel.py",
    "tests/docs/test_tutorial.py",
    "tests/docs/test_template_page.py",
    "tests/system/test_daemon.py",
    "tests/system/test_backfills.py",
    "tests/loopline/pod/test_pods.py",
    "tests/system/test_rollouts_under_load.py",
    "tests/resources/mlflow/test_served.py",
    "tests/loopline/up/test_up.py",
    "tests/loopline/watchdog/test_alarms_daemon.py",
    # all others
    "tests/loopline/conformance/test_servers.py",
    "tests/walk/test_story.py",
    "tests/resources/pyspark/test_engine.py",
    "tests/resources/sagemaker/test_compute.py",
    "tests/platform_core/training/test_task.py",
    "tests/resources/object_store/test_serving.py",
    "tests/platform_core/training/test_on_sagemaker.py",
    "tests/resources/delta/test_lake_faults.py",
    "tests/platform_core/migration/test_kills.py",
    "tests/platform_core/migration/test_move.py",
    "tests/platform_core/ingestion/test_poll_growth.py",
    "tests/resources/mlflow/test_registry.py",
    "tests/resources/dynamodb/test_online_store.py",
    "tests/resources/vertex/test_faults.py",
    "tests/deploy/test_images.py",
    "tests/acme/test_traces.py",
    "tests/resources/vertex/test_serving.py",
    "tests/resources/azure_ml/test_serving.py",
    "tests/resources/sagemaker/test_serving.py",
    "tests/benchmarks/test_drift.py",
    "tests/resources/local/test_kills.py",
    "tests/platform_core/loop/test_state_machine.py",
)
"""The files whose tests take longest; workers begin with them."""


def scope(file: str) -> str:
    """Return what has one worker: what a file shares with others, or the file."""
    return next((shared for beginning, shared in SHARED.items() if file.startswith(beginning)), file)


class Together(LoadFileScheduling):
    """Gives a worker a file at a time, or all files that share a server."""

    def _split_scope(self, nodeid: str) -> str:
        return scope(str(super()._split_scope(nodeid)))
