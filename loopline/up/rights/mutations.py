"""Permission table of Dagster's GraphQL mutations: the action each needs, and in which code locations.

All that it needs must be allowed, else nothing of it is done. A mutation that is not here is nobody's.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import BadRequest
from loopline.platform_core.foundation.names import PLATFORM
from loopline.up.rights.permissions import CHANGE, DELETE, END, INSTANCE, PARTITIONS, RELOAD, REPORT, RUN, WIPE

if TYPE_CHECKING:
    from loopline.asset_defs.private.dagster_web_private import Given
    from loopline.asset_defs.private.dagster_web_things import Things

    Of = Callable[[Things, Given], Iterable[str]]

WHOLE = ""
"""Stands for the whole instance where else a location stands."""
RESERVED = ("dagster", ".dagster", "ecs", "docker", "celery", "loopline")
"""Beginnings of tags by which Dagster, its launchers and our sensors know what a run is, and where it runs."""
FREE = frozenset(
    f"dagster/{name}"
    for name in (
        "priority", "max_retries", "retry_strategy", "retry_on_asset_or_op_failure", "max_runtime", "isolation",
        "partition", "partition_set", "asset_partition_range_start", "asset_partition_range_end", "preset_name",
        "solid_selection", "step_selection", "is_resume_retry", "is_asset_resume_retry", "from_ui",
    )
)  # fmt: skip
"""Those of them that whoever launches may give, as Dagster's pages do."""
_PARTITION = "dagster/partition/"
_BETWEEN = "::"
_RELATED = ("dagster/parent_run_id", "dagster/root_run_id")


@dataclass(frozen=True)
class Need:
    """An action, and the locations of what a mutation's arguments name; none where it does not need it this time."""

    action: str
    of: Of


def needed(name: str, things: Things, given: Given) -> list[tuple[str, str]] | None:
    """Return the actions with their locations that a mutation needs as it is called; None for one that is unknown.

    Of a location that is not in the workspace the platform's own roles decide, as of what nobody knows.

    Raises:
        BadRequest: its arguments name nothing that could be looked up.
    """
    needs = MUTATIONS.get(name)
    if needs is None:
        return None
    every = things.every()
    found = {(need.action, _known(location, every)): None for need in needs for location in need.of(things, given)}
    return list(found) or [(needs[0].action, location) for location in sorted(every)]


def _known(location: str, every: Container[str]) -> str:
    return location if location == WHOLE or location in every else PLATFORM


def _launched(things: Things, given: Given) -> Iterator[str]:
    """Yield where a run's code is, what makes the assets that it makes, and where the runs are that it goes on from."""
    params = given.get("executionParams")
    if params:
        selector, about = params["selector"], params.get("executionMetadata") or {}
        yield selector["repositoryLocationName"]
        yield from things.assets(_keys(selector.get("assetSelection")))
        parents = [about.get("parentRunId"), about.get("rootRunId"), *_values(about.get("tags"), _RELATED)]
        for run_id in filter(None, parents):
            yield from things.run(run_id)
    again = given.get("reexecutionParams")
    if again:
        for run_id in (again["parentRunId"], *_values(again.get("extraTags"), _RELATED)):
            yield from things.run(run_id)


def _each_launched(things: Things, given: Given) -> Iterator[str]:
    for params in given["executionParamsList"]:
        yield from _launched(things, {"executionParams": params})


def _tagged(things: Things, given: Given) -> set[str]:
    """Return the instance where a run is given tags by which it is known, and which it would not have by itself."""
    for tags, own in _given_tags(things, given):
        if any(_reserved(key) and own.get(key) != value for key, value in tags.items()):
            return {WHOLE}
    return set()


def _given_tags(things: Things, given: Given) -> Iterator[tuple[Mapping[str, str], Mapping[str, str]]]:
    """Yield tags that are given to runs, with those that the run would have, or had, without."""
    for params in (given.get("executionParams"), *given.get("executionParamsList", ())):
        if params:
            selector, about = params["selector"], params.get("executionMetadata") or {}
            job = selector.get("pipelineName") or selector.get("jobName") or ""
            own = things.tags(selector["repositoryLocationName"], selector["repositoryName"], job)
            parent = things.tags_of_run(about["parentRunId"]) if about.get("parentRunId") else {}
            yield _tags(about.get("tags")), {**parent, **own}
    again = given.get("reexecutionParams")
    if again:
        yield _tags(again.get("extraTags")), things.tags_of_run(again["parentRunId"])
    backfill = given.get("backfillParams")
    if backfill:
        yield _tags(backfill.get("tags")), _tags_of_set(things, backfill.get("selector"))


def _tags_of_set(things: Things, selector: Any) -> Mapping[str, str]:
    """Return the tags of the job whose partitions a selector names."""
    if not selector:
        return {}
    of = selector["repositorySelector"]
    job = selector["partitionSetName"].removesuffix("_partition_set")
    return things.tags(of["repositoryLocationName"], of["repositoryName"], job)


def _reserved(key: str) -> bool:
    free = key in FREE or key in _RELATED or key.startswith(_PARTITION)
    return not free and key.startswith(RESERVED)


def _tags(given: Any) -> Mapping[str, str]:
    return {tag["key"]: tag["value"] for tag in given or ()}


def _values(given: Any, keys: Iterable[str]) -> list[str]:
    tags = _tags(given)
    return [tags[key] for key in keys if key in tags]


def _keys(given: Any) -> list[list[str]]:
    return [list(each["path"]) for each in given or ()]


def _backfilled(things: Things, given: Given) -> Iterator[str]:
    params = given["backfillParams"]
    selector = params.get("selector")
    if selector:
        yield selector["repositorySelector"]["repositoryLocationName"]
    yield from things.assets(_keys(params.get("assetSelection")))
    yield from things.assets(_keys([each["assetKey"] for each in params.get("partitionsByAssets") or ()]))
    for run_id in _values(params.get("tags"), _RELATED):
        yield from things.run(run_id)


def _run(things: Things, given: Given) -> set[str]:
    return things.run(given["runId"])


def _runs(things: Things, given: Given) -> Iterator[str]:
    for run_id in given["runIds"]:
        yield from things.run(run_id)


def _backfill(things: Things, given: Given) -> set[str]:
    return things.backfill(given["backfillId"])


def _backfill_again(things: Things, given: Given) -> set[str]:
    params = given.get("reexecutionParams")
    return things.backfill(params["parentRunId"]) if params else set()


def _selected(name: str) -> Of:
    """Return what finds the location that a selector names."""
    return lambda _, given: {given[name]["repositoryLocationName"]}


def _named(name: str) -> Of:
    """Return what finds the location that an argument names."""
    return lambda _, given: {given[name]}


def _instigator(origin: str, selector: str) -> Of:
    """Return what finds the locations of a schedule or sensor that is named by ids, together or one by one."""

    def found(things: Things, given: Given) -> set[str]:
        ids = _ids(given.get("id") or "") or _ids(given.get(origin) or "") or (given.get(origin), given.get(selector))
        if not all(ids):
            raise BadRequest("the schedule or sensor is not named", "send its id")
        return things.instigator(str(ids[0]), str(ids[1]))

    return found


def _ids(compound: str) -> tuple[str, str] | None:
    """Return origin and selector of an id that holds both."""
    parts = compound.split(_BETWEEN)
    return (parts[0], parts[1]) if len(parts) == 2 else None  # noqa: PLR2004 - two ids


def _partitions(things: Things, given: Given) -> set[str]:
    """Return who shares partitions: keys are known by their name alone, in the whole instance."""
    return {given["repositorySelector"]["repositoryLocationName"], *things.partitions(given["partitionsDefName"])}


def _wiped_partitions(things: Things, given: Given) -> set[str]:
    if not given.get("wipeMaterializations"):
        return set()
    location = given["repositorySelector"]["repositoryLocationName"]
    return things.partitioned(location, given["partitionsDefName"]) or {location}


def _wiped(things: Things, given: Given) -> set[str]:
    return things.assets(_keys([each["assetKey"] for each in given["assetPartitionRanges"]]))


def _reported(things: Things, given: Given) -> set[str]:
    return things.assets(_keys([given["eventParams"]["assetKey"]]))


def _everywhere(things: Things, _: Given) -> set[str]:
    return things.every()


def _instance(_: Things, __: Given) -> set[str]:
    return {WHOLE}


_TAGS = Need(INSTANCE, _tagged)
_LAUNCH = (Need(RUN, _launched), _TAGS)
_END, _DELETE, _SETTINGS = (Need(END, _run),), (Need(DELETE, _run),), (Need(INSTANCE, _instance),)
_RELOAD_ONE, _COMPONENT = (Need(RELOAD, _named("repositoryLocationName")),), (Need(RELOAD, _named("locationName")),)
_SENSOR, _SCHEDULE = (Need(CHANGE, _selected("sensor_selector")),), (Need(CHANGE, _selected("schedule_selector")),)
_TRY, _REPORT = (Need(RUN, _selected("selector_data")),), (Need(REPORT, _reported),)
MUTATIONS: Mapping[str, tuple[Need, ...]] = {
    "launchPipelineExecution": _LAUNCH,
    "launchRun": _LAUNCH,
    "launchMultipleRuns": (Need(RUN, _each_launched), _TAGS),
    "launchPipelineReexecution": _LAUNCH,
    "launchRunReexecution": _LAUNCH,
    "launchPartitionBackfill": (Need(RUN, _backfilled), _TAGS),
    "resumePartitionBackfill": (Need(RUN, _backfill),),
    "reexecutePartitionBackfill": (Need(RUN, _backfill_again),),
    "cancelPartitionBackfill": (Need(END, _backfill),),
    "startSchedule": _SCHEDULE,
    "stopRunningSchedule": (Need(CHANGE, _instigator("schedule_origin_id", "schedule_selector_id")),),
    "resetSchedule": _SCHEDULE,
    "scheduleDryRun": _TRY,
    "startSensor": _SENSOR,
    "stopSensor": (Need(CHANGE, _instigator("job_origin_id", "job_selector_id")),),
    "resetSensor": _SENSOR,
    "setSensorCursor": _SENSOR,
    "sensorDryRun": _TRY,
    "terminatePipelineExecution": _END,
    "terminateRun": _END,
    "terminateRuns": (Need(END, _runs),),
    "deletePipelineRun": _DELETE,
    "deleteRun": _DELETE,
    "reloadRepositoryLocation": _RELOAD_ONE,
    "shutdownRepositoryLocation": _RELOAD_ONE,
    "reloadWorkspace": (Need(RELOAD, _everywhere),),
    "setAppManagedComponent": _COMPONENT,
    "deleteAppManagedComponent": _COMPONENT,
    "refreshComponentState": _COMPONENT,
    "wipeAssets": (Need(WIPE, _wiped),),
    "reportRunlessAssetEvents": _REPORT,
    "reportAssetCheckEvaluations": _REPORT,
    "addDynamicPartition": (Need(PARTITIONS, _partitions),),
    "deleteDynamicPartitions": (Need(PARTITIONS, _partitions), Need(WIPE, _wiped_partitions)),
    "setAutoMaterializePaused": _SETTINGS,
    "setConcurrencyLimit": _SETTINGS,
    "deleteConcurrencyLimit": _SETTINGS,
    "freeConcurrencySlots": _SETTINGS,
    "freeConcurrencySlotsForRun": _SETTINGS,
    "logTelemetry": _SETTINGS,
    "setNuxSeen": _SETTINGS,
}
"""By name. Dagster asks nothing before the last two, which write into the instance's folder."""
