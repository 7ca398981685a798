"""What ``make test`` leaves to ``make test-thorough``: what takes long, and what quicker tests show as well."""

from __future__ import annotations

from fnmatch import fnmatchcase

THOROUGH = (
    # the contracts' kits on two clouds, where ``make test`` asks the third, or the laptop's vendor
    "tests/resources/delta/test_lake_on_clouds.py::*[[]gs]",
    "tests/resources/delta/test_lake_on_clouds.py::*[[]az]",
    "tests/resources/azure_ml/test_compute.py",
    "tests/resources/azure_ml/test_serving.py",
    "tests/resources/vertex/test_compute.py",
    "tests/resources/vertex/test_serving.py",
    "tests/resources/sagemaker/test_compute.py",
    "tests/resources/sagemaker/test_serving.py",
    "tests/resources/object_store/test_serving.py",
    "tests/resources/kinesis/test_event_stream.py",
    "tests/resources/cosmos/test_online_store.py",
    "tests/resources/bigtable/test_online_store.py",
    "tests/resources/firestore/test_online_store.py",
    "tests/resources/bigquery/test_event_source.py",
    "tests/resources/snowflake/test_event_source.py",
    "tests/loopline/conformance/test_servers.py",
    "tests/resources/azure_ml/test_endpoint_steps.py",
    "tests/resources/vertex/test_endpoint_steps.py",
    "tests/emulators/test_clouds.py",
    "tests/resources/kafka/test_tenants.py",
    "tests/tenants/test_attempts.py::*[[]kafka*",
    "tests/resources/s3/test_tenants.py::*test_policies_as_aws_reads_them",
    "tests/resources/s3/test_tenants.py::*test_2_a_crafted_tenant*",
    "tests/resources/s3/test_tenants.py::*test_[134]_*",
    # services that throttle, lose answers and hang, at length
    "tests/resources/delta/test_lake_faults.py",
    "tests/resources/object_store/test_lake_away.py",
    "tests/resources/vertex/test_faults.py",
    "tests/resources/object_store/test_notifications.py",
    "tests/resources/object_store/test_told_by_clouds.py",
    "tests/resources/dynamodb/test_faults.py",
    "tests/resources/azure_ml/test_faults.py",
    # kills at many moments, and writers at once
    "tests/resources/delta/test_lake_on_clouds.py::test_writers_at_once*",
    "tests/resources/delta/test_lake.py::test_who_appends_while_it_is_tidied_loses_nothing",
    "tests/resources/delta/test_lake.py::test_a_killed_writer_loses_and_doubles_nothing",
    "tests/platform_core/training/test_task.py::test_killed_*",
    "tests/platform_core/training/test_task.py::test_a_killed_search_by_tasks_goes_on",
    "tests/platform_core/training/test_task.py::test_workers_grow_the_same_trees_and_one_version_is_published",
    "tests/platform_core/migration/test_move.py::test_a_changed_bit_is_found_and_named",
    "tests/platform_core/migration/test_move.py::test_an_online_row_that_differs_is_counted",
    "tests/resources/redis_cluster/test_online_store.py::test_servers_hang_and_die",
    "tests/platform_core/migration/test_kills.py",
    "tests/loopline/subject/test_subject.py::test_killed_anywhere_it_goes_on",
    "tests/resources/postgres/test_tenants.py::*cut_off*",
    "tests/resources/postgres/test_tenants.py::*a_crafted_tenant*",
    "tests/tenants/test_runs.py::test_registry_and_dagster_lie_in_its_database",
    "tests/tenants/test_registry.py",
    "tests/platform_core/tenants/test_provisioning.py::test_killed_at_any_file_it_goes_on*",
    "tests/resources/delta/test_erasing.py::test_killed_at_a_step_it_is_done_again*",
    "tests/resources/delta/test_erasing.py::test_who_appends_meanwhile_loses_nothing*",
    "tests/resources/local/test_kills.py",
    "tests/platform_core/quotas/test_killed_at_the_border.py",
    "tests/resources/kafka/test_state_kills.py",
    "tests/resources/kafka/test_score_kills.py",
    # the same on every engine, database and server
    "tests/platform_core/corrections/test_histories.py::test_a_history_on_*",
    "tests/platform_core/corrections/test_histories.py::test_histories_on_pyspark*",
    "tests/platform_core/corrections/test_histories.py::test_all_histories_on_duckdb",
    "tests/plugins/retail/test_every_engine.py",
    "tests/differential/test_feast_export.py",
    "tests/differential/test_feast_online.py",
    "tests/resources/pyspark/test_engine.py",
    "tests/resources/duckdb/test_engine.py",
    "tests/resources/mlflow/test_registry.py::test_two_processes_make_the_tables_once_and_quietly*",
    "tests/resources/mlflow/test_registry.py::test_a_server_keeps_the_artifacts_of_who_shares_no_disk_with_it",
    # statistics, and what is built and drawn
    "tests/loopline/portal/test_in_chromium_looks.py",
    "tests/platform_core/loop/test_state_machine.py::*TheLoopWith*",
    "tests/platform_core/monitor/test_quality_look.py::test_increments_are_the_whole",
    "tests/benchmarks/test_drift.py",
    "tests/deploy/test_images.py",
    "tests/acme/test_traces.py",
    # the provider of many companies, which takes a minute to start
    "tests/loopline/sign_in/test_keycloak.py",
    # Dagster's web server once more, behind a sign-in
    "tests/loopline/up/test_web_server_signed_in.py",
    # MLflow's own server behind it
    "tests/loopline/mlflow_ui/test_server.py",
    # under Dagster's daemon: versions that come and go under load, parts as pods, other people's servers and templates
    "tests/system/test_rollouts_under_load.py",
    "tests/loopline/pod/test_pods.py",
    "tests/resources/mlflow/test_served.py::test_mlflow_serves_raw_rows_in_a_fresh_environment",
    "tests/docs/test_template_page.py",
    # the whole loop once more, which ``make demo`` and the walk of every kind show
    "tests/walk/test_story.py",
    # the other teams' stories: three minutes each
    "tests/loopline/demo/test_stories.py",
)
"""Files, or patterns of node ids as a shell has them."""
FILES = frozenset(pattern.split("::")[0] for pattern in THOROUGH)
"""Where they are."""


def is_thorough(node: str) -> bool:
    """Return whether a test, by its node id, is left to the thorough run."""
    return any(fnmatchcase(node, pattern if "::" in pattern else f"{pattern}::*") for pattern in THOROUGH)
