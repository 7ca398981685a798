"""Client of Dagster's GraphQL API, as far as the platform needs it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPSHandler, OpenerDirector, ProxyHandler, Request, build_opener

from loopline.platform_core.errors import Refused, StoreUnavailable

DAEMONS = "{instance {daemonHealth {allDaemonStatuses {daemonType required healthy lastHeartbeatTime}}}}"
FINAL = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
LOCATIONS = """
{workspaceOrError {... on Workspace {locationEntries {name loadStatus locationOrLoadError {
  __typename ... on PythonError {message cause {message}}}}} ... on PythonError {message}}}"""
LAUNCH = """
mutation ($params: ExecutionParams!) {launchRun(executionParams: $params) {
  __typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message} ... on UnauthorizedError {message}
  ... on RunConfigValidationInvalid {errors {message}} ... on PipelineNotFoundError {message}
  ... on InvalidSubsetError {message}}}"""
STATUS = """
query ($run: ID!) {runOrError(runId: $run) {__typename ... on Run {status}}}"""
RUNS = """
query ($filter: RunsFilter, $limit: Int, $cursor: String) {
  runsOrError(filter: $filter, limit: $limit, cursor: $cursor) {... on Runs {results {
  runId jobName status startTime endTime creationTime tags {key value}}}}}"""
SENSORS = """
query ($repository: RepositorySelector!) {sensorsOrError(repositorySelector: $repository) {
  ... on Sensors {results {name sensorState {status}}} ... on PythonError {message}}}"""


@dataclass(frozen=True)
class Location:
    """A code location as the web server sees it: ``state`` is ``loading``, ``loaded`` or ``broken`` with a reason."""

    name: str
    state: str
    reason: str = ""


@dataclass(frozen=True)
class Daemon:
    """A daemon that has to run, and when its last heartbeat was, in seconds since 1970, 0 for never.

    ``healthy`` is Dagster's word: it had no error, and Dagster is patient for half an hour.
    """

    name: str
    heartbeat: float
    healthy: bool


class Dagster:
    """A running web server's GraphQL endpoint.

    Asked with the standard library: watchdog and supervisor ask seldom, and would hold 10 MB of a client all day.
    ``headers`` says who asks, where the server wants to know.
    """

    def __init__(
        self, url: str, timeout_seconds: float = 30.0, headers: Callable[[], Mapping[str, str]] = dict
    ) -> None:
        self.url = url
        self.timeout_seconds = timeout_seconds
        self.headers = headers

    @cached_property
    def _opener(self) -> OpenerDirector:
        """Return what asks, without proxies; it is kept, since the machine's certificates are read for it (10 ms)."""
        if not self.url.startswith("https:"):
            return build_opener(ProxyHandler({}))
        import ssl

        return build_opener(ProxyHandler({}), HTTPSHandler(context=ssl.create_default_context()))

    def ask(self, query: str, **variables: Any) -> dict[str, Any]:
        """Send a query or mutation and return its data.

        Raises:
            StoreUnavailable: the web server does not answer. Refused: it does not take the query.
        """
        body = json.dumps({"query": query, "variables": variables}).encode()
        try:
            answer: dict[str, Any] = json.loads(self._posted(body))
        except (OSError, HTTPException, ValueError) as error:
            raise StoreUnavailable(
                f"Dagster at {self.url} does not answer: {error}", "start it with 'loopline up'"
            ) from error
        if "error" in answer:
            raise Refused(f"Dagster at {self.url}: {answer['error']['problem']}", answer["error"]["fix"])
        if answer.get("errors"):
            raise Refused(f"Dagster refuses the query: {answer['errors'][0]['message']}", "see the query's fields")
        data: dict[str, Any] = answer["data"]
        return data

    def _posted(self, body: bytes) -> bytes:
        headers = {"content-type": "application/json", **self.headers()}
        request = Request(self.url, body, headers)  # noqa: S310 - the user's own server
        try:
            with self._opener.open(request, timeout=self.timeout_seconds) as response:
                return bytes(response.read())
        except HTTPError as refusal:  # a query that it does not take comes back with words
            with refusal:
                return refusal.read()

    def locations(self) -> list[Location]:
        """List the code locations."""
        workspace = self.ask(LOCATIONS)["workspaceOrError"]
        return [_location(entry) for entry in workspace.get("locationEntries", ())]

    def daemons(self) -> list[Daemon]:
        """List the daemons that have to run."""
        statuses = self.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
        return [
            Daemon(one["daemonType"], one["lastHeartbeatTime"] or 0, one["healthy"])
            for one in statuses
            if one["required"]
        ]

    def launch(
        self,
        location: str,
        job: str,
        tags: Mapping[str, str] | None = None,
        asset_keys: Sequence[Sequence[str]] = (),
        run_config: Mapping[str, Any] | None = None,
    ) -> str:
        """Launch a job of a location, or only some of its assets; returns the run's id.

        Raises:
            Refused: Dagster does not launch it; the problem is its own message.
        """
        selector: dict[str, Any] = {"jobName": job, **repository(location)}
        if asset_keys:
            selector["assetSelection"] = [{"path": list(key)} for key in asset_keys]
        params = {
            "selector": selector,
            "mode": "default",
            "runConfigData": dict(run_config or {}),
            "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]},
        }
        launched = self.ask(LAUNCH, params=params)["launchRun"]
        if launched["__typename"] != "LaunchRunSuccess":
            raise Refused(f"Dagster does not launch {location}/{job}: {_message(launched)}", "mend what it names")
        return str(launched["run"]["runId"])

    def run_status(self, run_id: str) -> str:
        """Return a run's status: ``QUEUED``, ``STARTED``, ``SUCCESS``, ..., or ``NOT_FOUND``."""
        return str(self.ask(STATUS, run=run_id)["runOrError"].get("status", "NOT_FOUND"))

    def wait(self, run_id: str, timeout_seconds: float = 600, poll_seconds: float = 0.2) -> str:
        """Wait for a run's end and return its status.

        Raises:
            StoreUnavailable: the run has not ended in time.
        """
        give_up = time.monotonic() + timeout_seconds
        while (status := self.run_status(run_id)) not in FINAL:
            if time.monotonic() > give_up:
                raise StoreUnavailable(f"run {run_id} is still {status}", "look at it in Dagster's UI")
            time.sleep(poll_seconds)
        return status

    def runs(  # noqa: PLR0913, PLR0917 - each filter is optional
        self,
        tags: Mapping[str, str] | None = None,
        statuses: Sequence[str] = (),
        limit: int | None = None,
        since: float | None = None,
        before: float | None = None,
        job: str | None = None,
        after: str | None = None,
    ) -> list[dict[str, Any]]:
        """List runs, newest first: ``runId``, ``jobName``, ``status``, times in seconds, ``tags`` as a mapping.

        ``limit`` is how many at most; ``since`` leaves out what has not changed after it, ``before`` what was not
        created before it (seconds since 1970); ``job`` takes runs of one job; ``after`` goes on behind a run's id.
        """
        wanted: dict[str, Any] = {"tags": [{"key": k, "value": v} for k, v in (tags or {}).items()]}
        given = {
            "statuses": list(statuses) or None,
            "updatedAfter": since,
            "createdBefore": before,
            "pipelineName": job,
        }
        wanted |= {name: value for name, value in given.items() if value is not None}
        found = self.ask(RUNS, filter=wanted, limit=limit, cursor=after)["runsOrError"].get("results", ())
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found]

    def sensors(self, location: str) -> dict[str, str]:
        """Return a location's sensors and their status, ``RUNNING`` or ``STOPPED``."""
        found = self.ask(SENSORS, repository=repository(location))["sensorsOrError"].get("results", ())
        return {sensor["name"]: sensor["sensorState"]["status"] for sensor in found}


def repository(location: str) -> dict[str, str]:
    """Return the selector of a location's repository."""
    from loopline.platform_core.alarms.pages import REPOSITORY  # the alarms bring the ledger's database along

    return {"repositoryName": REPOSITORY, "repositoryLocationName": location}


def _location(entry: Mapping[str, Any]) -> Location:
    loaded = entry["locationOrLoadError"]
    if entry["loadStatus"] != "LOADED" or loaded is None:
        return Location(entry["name"], "loading")
    if loaded["__typename"] == "RepositoryLocation":
        return Location(entry["name"], "loaded")
    return Location(entry["name"], "broken", _message(loaded))


def _message(error: Mapping[str, Any]) -> str:
    messages = [error.get("message"), *(e.get("message") for e in error.get("errors", ()))]
    cause = (error.get("cause") or {}).get("message")
    return " ".join(str(m).strip() for m in (cause or messages[0], *messages[1:]) if m) or error["__typename"]
