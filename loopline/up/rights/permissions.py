"""Mapping of Dagster's own permissions to our actions; they decide which buttons its pages show."""

from __future__ import annotations

from collections.abc import Mapping

RUN, CHANGE, END, DELETE = "run assets", "change schedule", "end run", "delete run"
RELOAD, WIPE, REPORT, PARTITIONS = "reload code", "wipe assets", "report asset", "change partitions"
INSTANCE, READ = "change instance", "read logs"

ACTIONS: Mapping[str, str] = {
    "launch_pipeline_execution": RUN,
    "launch_pipeline_reexecution": RUN,
    "launch_partition_backfill": RUN,
    "schedule_dry_run": RUN,  # it runs the team's code, and changes nothing by itself
    "sensor_dry_run": RUN,
    "start_schedule": CHANGE,
    "stop_running_schedule": CHANGE,
    "edit_sensor": CHANGE,
    "update_sensor_cursor": CHANGE,
    "terminate_pipeline_execution": END,
    "cancel_partition_backfill": END,
    "delete_pipeline_run": DELETE,
    "reload_repository_location": RELOAD,
    "reload_workspace": RELOAD,
    "refresh_component_state": RELOAD,
    "edit_app_managed_components": RELOAD,
    "wipe_assets": WIPE,
    "report_runless_asset_events": REPORT,
    "edit_dynamic_partitions": PARTITIONS,
    "toggle_auto_materialize": INSTANCE,
    "edit_concurrency_limit": INSTANCE,
}
"""By Dagster's name; what is not here is not given."""
