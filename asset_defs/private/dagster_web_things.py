"""Code locations that a request to Dagster's web server concerns, found by its private API."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.partitions.snap import DynamicPartitionsSnap, MultiPartitionsSnap

from loopline.platform_core.foundation.names import PLATFORM


class Things:
    """Which code locations something is of, that a request names; what nobody knows is of the platform's own.

    It is looked up as Dagster itself does, in definitions and in what is stored.
    """

    def __init__(self, context: Any) -> None:
        self._context = context

    def every(self) -> set[str]:
        """Return all locations that are in the workspace, and the platform's own."""
        return {*self._context.code_location_names, PLATFORM}

    def run(self, run_id: str) -> set[str]:
        """Return the location whose code a run is, or was."""
        run = self._context.instance.get_run_by_id(run_id)
        origin = run.remote_job_origin if run else None
        return {origin.location_name if origin else PLATFORM}

    def assets(self, keys: Iterable[Sequence[str]]) -> set[str]:
        """Return each location that makes one of some assets, by their keys' parts; see ``locations_of``."""
        return {name for key in keys for name in locations_of(self._context, dg.AssetKey(key))}

    def backfill(self, backfill_id: str) -> set[str]:
        """Return the locations of what a backfill makes."""
        found = self._context.instance.get_backfill(backfill_id)
        if found is None:
            return {PLATFORM}
        own = {found.partition_set_origin.selector.location_name} if found.partition_set_origin else set()
        return own | self.assets([key.path for key in found.asset_selection or ()]) or {PLATFORM}

    def instigator(self, origin_id: str, selector_id: str) -> set[str]:
        """Return the locations of a schedule or sensor; two that its two ids name are both meant."""
        every = list(self._instigators())
        by_origin = {name for name, origin, _ in every if origin == origin_id}
        by_selector = {name for name, _, selector in every if selector == selector_id}
        state = self._context.instance.get_instigator_state(origin_id, selector_id)
        stored = {state.origin.repository_origin.code_location_origin.location_name} if state else set()
        return (by_origin or {PLATFORM}) | (by_selector or stored or {PLATFORM}) | stored

    def _instigators(self) -> Iterator[tuple[str, str, str]]:
        for location in self._context.code_locations:
            for repository in location.get_repositories().values():
                for each in (*repository.get_sensors(), *repository.get_schedules()):
                    yield location.name, each.get_remote_origin_id(), each.selector_id

    def partitions(self, name: str) -> set[str]:
        """Return each location with an asset whose partitions are added by hand under a name: they share them."""
        nodes = self._context.asset_graph.remote_asset_nodes_by_key.values()
        infos = [info for node in nodes for info in node.repo_scoped_asset_infos]
        return {info.handle.location_name for info in infos if _named(info.asset_node.asset_node_snap.partitions, name)}

    def partitioned(self, location: str, name: str) -> set[str]:
        """Return each location that makes an asset of one location whose partitions have a name."""
        nodes = self._context.asset_graph.remote_asset_nodes_by_key
        keys = {
            tuple(key.path)
            for key, node in nodes.items()
            for info in node.repo_scoped_asset_infos
            if info.handle.location_name == location and _named(info.asset_node.asset_node_snap.partitions, name)
        }
        return self.assets(keys)

    def tags(self, location: str, repository: str, job: str) -> Mapping[str, str]:
        """Return the tags that a job has by its definition; none where it is not there."""
        try:
            selector = dg.JobSelector(location_name=location, repository_name=repository, job_name=job)
            found: Mapping[str, str] = self._context.get_full_job(selector).tags
        except Exception:  # noqa: BLE001 - Dagster has an error for each way in which a job may be missing
            return {}
        return found

    def tags_of_run(self, run_id: str) -> Mapping[str, str]:
        """Return the tags of a run; none of one that is not there."""
        run = self._context.instance.get_run_by_id(run_id)
        return run.tags if run else {}


def locations_of(context: Any, key: dg.AssetKey) -> set[str]:
    """Return each location that makes an asset, else each that names it, else the platform's own."""
    graph = context.asset_graph
    if not graph.has(key):
        return {PLATFORM}
    infos = graph.get(key).repo_scoped_asset_infos
    made = {info.handle.location_name for info in infos if info.asset_node.is_executable}
    return made or {info.handle.location_name for info in infos}


def _named(partitions: Any, name: str) -> bool:
    if isinstance(partitions, DynamicPartitionsSnap):
        return partitions.name == name
    if isinstance(partitions, MultiPartitionsSnap):
        return any(_named(each.partitions, name) for each in partitions.partition_dimensions)
    return False
