"""Groups of heavy tests: everything that `make test` leaves to `make test-heavy`, by subject.

A test is heavy if its file, or its node id by a shell pattern, stands here. It then carries the marker ``heavy`` and
one with the name of its group. docs/testing.md says when a test belongs here.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Group:
    """Heavy tests of one subject.

    Args:
        subject: What they show.
        seconds: What the group takes on two quiet cores; used until a run has been recorded.
        tests: Files, or node ids as shell patterns.
        workers: How many processes share its files; 0 runs them one after the other in one process.
        timeout_seconds: For a test that names no limit of its own.
        prepare: Scripts that fetch or build what the group needs.
        command: What runs instead of pytest.
    """

    subject: str
    seconds: int
    tests: tuple[str, ...]
    workers: int = 4
    timeout_seconds: int = 300
    prepare: tuple[str, ...] = ()
    command: tuple[str, ...] = ()


EMULATORS = ("scripts/kafka.sh", "scripts/emulators.sh")
CLUSTER = ("scripts/cluster.sh", "scripts/peer.sh kserve")

GROUPS: dict[str, Group] = {
    "daemon": Group(
        "one model's story, and Dagster: daemon, backfills, lineage, start and end of `loopline up`, alarms",
        480,
        (
            "tests/loopline/watchdog/test_rounds.py",
            "tests/loopline/watchdog/test_looks.py",
            "tests/loopline/watchdog/test_cycle_waits.py",
            "tests/asset_defs/test_lineage.py",
            "tests/asset_defs/test_dagster_private.py",
            "tests/asset_defs/test_code_server.py::test_arrow_makes_arrays_without_pandas_and_pandas_on_demand",
            "tests/sites/test_two_sites.py",
            "tests/walk/test_story.py",
            "tests/system/test_daemon.py",
            "tests/system/test_backfills.py",
            "tests/loopline/up/test_up.py::test_up_starts_everything_and_ends_cleanly",
            "tests/loopline/up/test_up.py::test_a_stop_before_all_is_ready_ends_cleanly_too",
            "tests/loopline/watchdog/test_alarms_daemon.py",
        ),
    ),
    "tutorials": Group(
        "tutorials typed as a reader would, and a template's page",
        300,
        (
            "tests/docs/test_tutorial.py",
            "tests/docs/test_template_page.py",
            "tests/resources/mlflow/test_served.py::test_mlflow_serves_raw_rows_in_a_fresh_environment",
        ),
    ),
    "load": Group(
        "versions that come and go under load, and the platform's parts as processes of their own",
        240,
        ("tests/system/test_rollouts_under_load.py", "tests/loopline/pod/test_pods.py"),
    ),
    "kills": Group(
        "processes killed at many moments, and several writers at once",
        420,
        (
            "tests/platform_core/ingestion/test_landing.py::test_a_real_kill_loses_and_doubles_nothing",
            "tests/platform_core/loop/test_cycles.py::test_processes_that_open_at_once_get_one_cycle*",
            "tests/platform_core/loop/test_kill.py",
            "tests/loopline/subject/test_subject.py",
            "tests/resources/delta/test_lake_on_clouds.py::test_writers_at_once*",
            "tests/resources/delta/test_lake.py::test_who_appends_while_it_is_tidied_loses_nothing",
            "tests/resources/delta/test_lake.py::test_a_killed_writer_loses_and_doubles_nothing",
            "tests/platform_core/training/test_task.py::test_killed_*",
            "tests/platform_core/training/test_task.py::test_a_killed_search_by_tasks_goes_on",
            "tests/platform_core/training/test_task.py::test_workers_grow_the_same_trees_and_one_version_is_published",
            "tests/platform_core/migration/test_kills.py",
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
            "tests/resources/kafka/test_exactly_once.py",
        ),
        prepare=EMULATORS,
    ),
    "kits": Group(
        "contracts' kits on the vendors whose twin `make test` asks: other clouds' stores, services and streams",
        420,
        (
            "tests/resources/dynamodb/test_online_store.py",
            "tests/resources/s3/test_tenants.py",
            "tests/resources/evidently/test_page_store.py::test_a_page_is_read_elsewhere_and_by_a_link*",
            "tests/platform_core/testing/test_event_stream_kit.py",
            "tests/platform_core/testing/test_event_stream_groups_kit.py",
            "tests/platform_core/testing/test_matrix.py",
            "tests/platform_core/testing/test_compute_kit.py",
            "tests/platform_core/migration/test_move.py",
            "tests/platform_core/training/test_on_sagemaker.py",
            "tests/loopline/conformance/test_command.py",
            "tests/resources/delta/test_lake_on_clouds.py::*[[]gs]",
            "tests/resources/delta/test_lake_on_clouds.py::*[[]az]",
            "tests/resources/azure_ml/test_compute.py",
            "tests/resources/azure_ml/test_serving.py",
            "tests/resources/vertex/test_compute.py",
            "tests/resources/vertex/test_serving.py",
            "tests/resources/sagemaker/test_compute.py",
            "tests/resources/sagemaker/test_serving.py",
            "tests/resources/object_store/test_serving.py",
            "tests/resources/object_store/test_on_clouds.py",
            "tests/resources/object_store/test_event_source.py::*[[]gs*",
            "tests/resources/object_store/test_event_source.py::*[[]az*",
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
        ),
        prepare=EMULATORS,
    ),
    "faults": Group(
        "services that throttle, lose answers, hang and disappear",
        240,
        (
            "tests/resources/object_store/test_states.py::test_a_store_that_hangs_is_told_soon",
            "tests/resources/object_store/test_queue_faults.py",
            "tests/resources/sagemaker/test_endpoint_steps.py",
            "tests/resources/delta/test_lake_faults.py",
            "tests/resources/object_store/test_lake_away.py",
            "tests/resources/vertex/test_faults.py",
            "tests/resources/object_store/test_notifications.py",
            "tests/resources/object_store/test_told_by_clouds.py",
            "tests/resources/dynamodb/test_faults.py",
            "tests/resources/azure_ml/test_faults.py",
            "tests/resources/redis_cluster/test_online_store.py::test_servers_hang_and_die",
            "tests/resources/postgres/test_tenants.py::*cut_off*",
        ),
        prepare=EMULATORS,
    ),
    "serving": Group(
        "inference servers as processes: workers, limits, put-off requests, shadow, batch beside the server",
        240,
        (
            "tests/platform_core/runtime/test_deferred.py",
            "tests/platform_core/runtime/test_openapi.py",
            "tests/platform_core/runtime/test_metrics_together.py",
            "tests/platform_core/runtime/test_grpc_limits.py::test_workers_share_the_port",
            "tests/platform_core/runtime/test_limits.py::test_a_request_that_never_comes_whole*",
            "tests/platform_core/runtime/test_manifest.py::test_many_threads_read_their_first_manifest_at_once",
            "tests/platform_core/runtime/test_server_quotas.py::test_a_server_of_an_environment_with_quotas",
            "tests/platform_core/signing/test_servers.py",
            "tests/platform_core/scoring/test_batch.py::test_a_batch_says_what_the_server_said*",
            "tests/resources/local/test_shadow.py",
            "tests/resources/local/test_serving.py::test_*",
            "tests/resources/dynamodb/test_inference_server.py",
            "tests/resources/redis/test_inference_server.py",
            "tests/resources/object_store/test_room.py",
        ),
    ),
    "streams": Group(
        "a real Kafka at length: security, members of a group, stateful scoring, streams followed and scored",
        240,
        (
            "tests/resources/kafka/test_security.py",
            "tests/resources/kafka/test_member.py",
            "tests/resources/kafka/test_fraud_story.py",
            "tests/loopline/cli/test_score_stream.py::test_a_stream_is_scored*",
            "tests/loopline/cli/test_stream.py::test_it_follows_until_it_is_told_to_end",
        ),
        prepare=EMULATORS,
    ),
    "histories": Group(
        "long histories, and statistics over many draws",
        300,
        (
            "tests/platform_core/observability/test_exposition.py::test_a_thousand_models_are_told_in_a_moment*",
            "tests/platform_core/ingestion/test_poll_growth.py",
            "tests/platform_core/monitor/test_panel_rollouts.py::test_promotions_open_no_cycle[[]20*",
            "tests/platform_core/monitor/test_quality_look.py::test_who_dies_while_keeping_leaves_the_look_of_before*",
            "tests/platform_core/monitor/test_quality_look.py::test_one_more_file_costs_as_much_after_a_long_history",
            "tests/plugins/retail/test_live_drift.py",
            "tests/plugins/retail/test_live_quality.py",
            "tests/platform_core/loop/test_slow_endpoints.py::test_an_endpoint_that_fails_half_way_is_taken_back*",
            "tests/platform_core/corrections/test_skew_over_corrections.py",
            "tests/platform_core/corrections/test_histories.py::test_a_history_by_increments*",
            "tests/platform_core/corrections/test_histories.py::test_all_histories_on_real_vendors",
            "tests/platform_core/features/test_audit.py::test_a_view_that_still_rests_on_its_entity_stays_incremental",
            "tests/platform_core/features/test_incremental.py::test_increments_equal_the_whole*",
            "tests/platform_core/features/test_incremental.py::test_a_backfill_equals_the_whole*",
            "tests/platform_core/loop/test_slow_endpoints.py::test_no_step_goes_on_before_*",
            "tests/platform_core/loop/test_state_machine.py::*TheLoopWith*",
            "tests/platform_core/monitor/test_quality_look.py::test_increments_are_the_whole",
            "tests/platform_core/monitor/test_quality_look.py::test_a_whole_life_is_measured_anew_*",
            "tests/platform_core/monitor/test_quality_look.py::test_of_a_long_history_only_*",
            "tests/platform_core/monitor/test_quality_history.py::test_looks_week_by_week_*",
            "tests/platform_core/monitor/test_window.py::test_quiet_windows_do_not_alarm*",
            "tests/platform_core/monitor/test_kinds.py::test_quiet_windows_are_quiet_in_every_kind*",
            "tests/platform_core/monitor/test_joint.py::test_quiet_windows_reach_the_threshold_*",
            "tests/platform_core/monitor/test_blocks.py::test_a_panel_in_which_nothing_new_happens_is_quiet",
            "tests/platform_core/monitor/test_fairness.py::test_a_gap_at_the_bound_alarms_*",
            "tests/platform_core/specs/test_sequential.py::test_a_candidate_at_its_bound_*",
            "tests/platform_core/specs/test_sequential.py::test_a_gap_between_two_means_*",
            "tests/platform_core/specs/test_paired_judges.py::test_at_*",
            "tests/platform_core/metrics/test_intervals.py::test_losses*",
            "tests/platform_core/metrics/test_intervals.py::test_areas_under_the_curve*",
            "tests/platform_core/estimation/test_chances.py::test_nineteen_of_twenty_*",
            "tests/platform_core/estimation/test_classes.py::test_intervals_hold_*",
            "tests/resources/delta/test_lake.py::test_the_newest_version_is_told_by_the_log_alone",
            "tests/resources/delta/test_lake.py::test_a_kept_version_outlives_its_log",
            "tests/resources/delta/test_transactions.py",
            "tests/loopline/portal/test_more_pages.py::test_a_replay_lowers_what_the_ledger_counts",
            "tests/benchmarks/test_drift.py",
            "tests/benchmarks/test_landings.py",
        ),
    ),
    "engines": Group(
        "the same answers on every engine, database and server: DuckDB, Spark, MLflow",
        480,
        (
            "tests/resources/evidently/test_drift_report.py::test_evidently_shows_our_snapshots",
            "tests/resources/mlflow/test_raw_rows.py::test_mlflows_function_takes_raw_rows*",
            "tests/platform_core/corrections/test_histories.py::test_a_history_on_*",
            "tests/platform_core/corrections/test_histories.py::test_histories_on_pyspark*",
            "tests/platform_core/corrections/test_histories.py::test_all_histories_on_duckdb",
            "tests/plugins/retail/test_every_engine.py",
            "tests/resources/pyspark/test_engine.py",
            "tests/resources/duckdb/test_engine.py",
            "tests/resources/mlflow/test_registry.py::test_two_processes_make_the_tables_once_and_quietly*",
            "tests/resources/mlflow/test_registry.py::test_a_server_keeps_the_artifacts_of_who_shares_no_disk_with_it",
        ),
    ),
    "postgresql": Group(
        "rollouts, deployments, registry, alarms and scorecard on PostgreSQL, as `make test` asks them on SQLite",
        120,
        (
            "tests/platform_core/alarms/test_deliver.py::*[[]postgresql*",
            "tests/platform_core/alarms/test_escalation.py::*[[]postgresql*",
            "tests/platform_core/loop/test_rollouts.py::*[[]postgresql*",
            "tests/platform_core/features/test_registry.py::*[[]postgresql*",
            "tests/platform_core/loop/test_deployments.py::*[[]postgresql*",
            "tests/loopline/features_api/test_registry_routes.py::*[[]postgresql*",
            "tests/loopline/scorecard/test_reuse.py::*[[]postgresql*",
            "tests/loopline/scorecard/test_delivery.py::*[[]postgresql*",
            "tests/platform_core/loop/test_history.py::*[[]postgresql*",
            "tests/platform_core/loop/test_shadow_rollouts.py::*[[]postgresql*",
            "tests/platform_core/observability/test_exposition.py::*[[]postgresql*",
            "tests/platform_core/loop/test_split_rollouts.py::*[[]postgresql*",
            "tests/platform_core/loop/test_retirement.py::*[[]postgresql*",
            "tests/platform_core/loop/test_fleet.py::*[[]postgresql*",
            "tests/platform_core/loop/test_presence.py::*[[]postgresql*",
            "tests/platform_core/loop/test_gates.py::*[[]postgresql*",
            "tests/platform_core/loop/test_quarantines.py::*[[]postgresql*",
            "tests/platform_core/loop/test_freezes.py::*[[]postgresql*",
        ),
    ),
    "identity": Group(
        "Keycloak, the web servers of Dagster and MLflow and who may use them, planted secrets",
        180,
        (
            "tests/loopline/up/test_web_server.py",
            "tests/walk/test_planted_secrets.py",
            "tests/loopline/sign_in/test_keycloak.py",
            "tests/loopline/up/test_web_server_signed_in.py",
            "tests/loopline/mlflow_ui/test_server.py",
        ),
        prepare=EMULATORS,
    ),
    "pages": Group(
        "pages in Chromium and under an HTML validator, their looks and weight, the documentation site, and traces",
        300,
        (
            "tests/docs/test_site.py",
            "tests/loopline/portal/test_in_chromium_clicks.py",
            "tests/loopline/portal/test_valid_html.py",
            "tests/loopline/portal/test_weight.py",
            "tests/loopline/portal/test_access_requests.py::test_the_page_looks_well",
            "tests/loopline/portal/test_signed_in.py::test_a_person_signs_in_decides_and_signs_out",
            "tests/loopline/portal/test_in_chromium_looks.py",
            "tests/acme/test_traces.py",
        ),
        prepare=("make .venv-docs/.installed",),
    ),
    "packages": Group(
        "what others install: the wheel, templates, a team and a vendor from outside, the SDK in Java",
        360,
        (
            "tests/test_imports.py::test_every_module_imports",
            "tests/loopline/scorecard/test_reuse.py::test_a_template_of_another_tool_stops_nobody*",
            "tests/wheel/test_wheel.py",
            "tests/loopline/templates/test_templates.py",
            "tests/acme/test_outside.py",
            "tests/sdk/test_java.py",
            "tests/sdk/test_page.py::test_java",
        ),
    ),
    "peers": Group(
        "other projects in environments of their own: Feast's answers beside ours, KServe's client and its fields",
        180,
        (
            "tests/differential/test_feast_export.py",
            "tests/differential/test_feast_online.py",
            "tests/differential/test_feast_history.py",
            "tests/differential/test_feast_differs.py",
            "tests/platform_core/runtime/test_kserve_client.py",
            "tests/docs/test_call_page.py::test_kserve",
            "tests/resources/kserve/test_apart.py::test_kserve_s_client_knows_every_field_of_a_canary",
            "tests/resources/kserve/test_inference_service.py::test_kserve_s_client_knows_every_field*",
            "tests/resources/kserve/test_inference_service.py::test_a_field_that_kserve_does_not_know_is_found",
            "tests/resources/kserve/test_runtimes.py::test_a_version_is_put_where_its_runtime_finds_it",
        ),
        prepare=("scripts/peer.sh feast", "scripts/peer.sh kserve"),
    ),
    "releases": Group(
        "what a platform engineer installs: a release, images, alert rules under promtool, rights of Terraform's roles",
        300,
        (
            "tests/deploy/test_release.py::test_a_release_is_whole_and_its_sums_hold",
            "tests/deploy/test_images.py",
            "tests/deploy/test_alerts.py::test_rules_fire_on_what_they_are_for*",
            "tests/deploy/terraform/test_rights_aws.py",
            "tests/deploy/terraform/test_rights_azure.py",
            "tests/deploy/terraform/test_rights_gcp.py",
        ),
        prepare=EMULATORS,
    ),
    "lowest": Group(
        "the oldest versions of libraries that pyproject.toml allows",
        420,
        (),
        command=("make", "lowest"),
    ),
    "spark": Group(
        "the engine on a Spark cluster of the tests' own: a master, two workers, a Spark Connect server",
        300,
        ("tests/resources/pyspark/test_connect.py", "tests/resources/pyspark/test_master.py"),
        workers=0,
        timeout_seconds=600,
    ),
    "chart": Group(
        "the Helm chart installed on a Kubernetes of the tests' own: drift turns the loop, kills, upgrade, rollback",
        900,
        ("tests/cluster/test_walk.py", "tests/deploy/test_chart_on_cluster.py"),
        workers=0,
        timeout_seconds=900,
        prepare=CLUSTER,
    ),
    "cluster": Group(
        "Kubernetes itself: tasks as Jobs, network policies, two teams, runs as pods",
        480,
        (
            "tests/loopline/pod/test_instance.py::test_several_pods_at_once_make_the_tables_once",
            "tests/loopline/pod/test_run_logs.py::test_another_pod_reads_what_one_has_printed_*",
            "tests/cluster/test_cluster.py",
            "tests/cluster/test_policies.py",
            "tests/resources/kubernetes/test_compute.py",
            "tests/resources/kubernetes/test_two_teams.py",
            "tests/platform_core/training/test_on_kubernetes.py",
            "tests/loopline/pod/test_run_pods.py",
            "tests/loopline/pod/test_kubelet.py",
        ),
        workers=0,
        timeout_seconds=900,
        prepare=CLUSTER,
    ),
    "endpoints": Group(
        "endpoints on Kubernetes and KServe, objects that mirror them, GitOps, foreign kinds, Spark and scale there",
        600,
        (
            "tests/resources/kubernetes/test_serving.py",
            "tests/resources/kubernetes/test_mirror.py::TestOnACluster::*",
            "tests/resources/kserve/test_serving.py",
            "tests/deploy/test_endpoints_by_team.py",
            "tests/deploy/test_foreign_kinds.py",
            "tests/deploy/test_gitops.py::test_a_real_api_server_takes_every_manifest",
            "tests/resources/pyspark/test_kubernetes.py",
            "tests/benchmarks/test_scale.py::test_a_task_ends_on_a_simulated_node_and_its_calls_are_counted",
        ),
        workers=0,
        timeout_seconds=900,
        prepare=CLUSTER,
    ),
    "soak": Group(
        "two teams on a Kubernetes of the tests' own for ten minutes: failed runs, restarts, Jobs, memory",
        820,
        ("tests/cluster/test_soak.py::test_two_teams_for_a_while",),
        workers=0,
        timeout_seconds=2400,
        prepare=CLUSTER[:1],
    ),
    "stories": Group(
        "the other teams' demos, one after the other, each at its own pace",
        780,
        ("tests/loopline/demo/test_stories.py",),
        workers=0,
    ),
}
"""In order of worth: what is asked first where nothing else decides."""
QUICK = (
    "tests/asset_defs/test_lineage.py::test_a_training_set_names_the_versions_that_it_read",
    "tests/loopline/subject/test_subject.py::test_nothing_is_left_but_what_is_said",
    "tests/acme/test_outside.py::test_dagster_loads_the_team",
    "tests/loopline/templates/test_templates.py::test_a_fresh_team_passes_its_own_tests",
    "tests/resources/kafka/test_member.py::TestKafkaGroups::test_11_answers_and_place_move_together",
    "tests/resources/kafka/test_security.py::test_a_member_answers_in_transactions",
    "tests/platform_core/migration/test_move.py::test_a_laptop_moves_to_a_cloud",
    "tests/platform_core/runtime/test_deferred.py::test_submit_and_poll",
    "tests/resources/local/test_shadow.py::test_a_rollout_on_the_real_parts_judges_what_was_replayed*roll_back]",
    "tests/platform_core/signing/test_servers.py::test_a_server_goes_on_with_the_version_that_is_proven",
    "tests/platform_core/corrections/test_skew_over_corrections.py::*[[]a corrected file]",
)
"""Tests that stay in `make test` though their file is heavy: the one walk that shows a capability."""
FILES = {name: frozenset(one.split("::")[0] for one in group.tests) for name, group in GROUPS.items()}
"""By group, the files that have its tests."""
WHOLE = frozenset(one for group in GROUPS.values() for one in group.tests if "::" not in one) - {
    one.split("::")[0] for one in QUICK
}
"""Files all of whose tests are heavy."""
_KEPT: dict[str, list[str]] = defaultdict(list)
_PATTERNS: dict[str, list[tuple[str, str]]] = defaultdict(list)
for _one in QUICK:
    _KEPT[_one.split("::")[0]].append(_one)
for _name, _group in GROUPS.items():
    for _one in _group.tests:
        _PATTERNS[_one.split("::")[0]].append((_one if "::" in _one else f"{_one}::*", _name))


def group_of(node: str) -> str | None:
    """Return the group of a test by its node id, or None if it is not heavy."""
    file = node.split("::", maxsplit=1)[0]
    if any(fnmatchcase(node, one) for one in _KEPT.get(file, ())):
        return None
    return next((name for one, name in _PATTERNS.get(file, ()) if fnmatchcase(node, one)), None)
