"""A strict fake of Azure ML over TLS: command jobs, which it runs, environments, run history, endpoints.

Paths and messages are those of the official client's own models; a member that these do not have is refused, as is
what the service documents (names, clusters, modes, a job's name that is there already). A node's command runs as a
process of this machine, with the container mounted and the variables that Azure ML gives. What it cannot show: rights,
quotas, images, networks, real times, and words of the real service. ``python -m tests.emulators.azure_ml <port>
<certificate> <folder> <url of the Blob account> <its key> <token>`` lets in who bears that token. Faults:
``job_service``; of a ``job`` also ``pending`` (seconds), ``reason`` (it fails so before it begins) with ``kind``, and
``interrupt_after`` (seconds until its nodes are taken back).
"""

from __future__ import annotations

import json
import re
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from azure.core.exceptions import ResourceNotFoundError
from azure.mgmt.machinelearningservices import models
from azure.mgmt.machinelearningservices.operations import EnvironmentVersionsOperations, JobsOperations
from azure.storage.blob import ContainerClient

from tests.emulators.arm_messages import parsed
from tests.emulators.azure_ml_endpoints import Endpoints
from tests.emulators.azure_ml_endpoints import routes as endpoint_routes
from tests.emulators.azurite import ACCOUNT
from tests.emulators.job_service import Answer, Handed, JobService, Message, Refusal, serve
from tests.emulators.mounted_jobs import Mount, MountedJob, Run
from tests.emulators.training_container import HostProcess, hosts

API_VERSION = "2023-04-01"
SUBSCRIPTION, GROUP, WORKSPACE = "00000000-0000-0000-0000-000000000001", "ml", "loop"
WORKSPACE_ID = (
    f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{GROUP}/providers/Microsoft.MachineLearningServices"
    f"/workspaces/{WORKSPACE}"
)
CLUSTERS = {"small": 4, "large": 2, "loopline-cpu": 4}
"""Compute clusters, with how many nodes each may have."""
DATASTORES = {"workspaceblobstore": "loopline", "loopline": "loopline"}
PAGE = 10
_SHORT = f"subscriptions/{SUBSCRIPTION}/resourcegroups/{GROUP}/workspaces/{WORKSPACE}"
_URI = re.compile(rf"azureml://{_SHORT}/datastores/([a-zA-Z0-9_]+)/paths/(.*)")
_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_-]{0,254}")
_PLACE = re.compile(r"\$\{\{(inputs|outputs)\.([a-zA-Z0-9_]+)\}\}")
_CHANGEABLE = {"tags", "displayName", "description", "properties"}
_HISTORY = re.compile(rf"/history/v1\.0{re.escape(WORKSPACE_ID)}/runs/(?P<id>[^/]+)/details")


def routes() -> Iterator[tuple[str, str, re.Pattern[str]]]:
    """Read the path of each operation off the client itself."""
    for name, verb, operation in (
        ("ListJobs", "GET", JobsOperations.list),
        ("GetJob", "GET", JobsOperations.get),
        ("PutJob", "PUT", JobsOperations.create_or_update),
        ("CancelJob", "POST", JobsOperations.begin_cancel),
        ("GetEnvironment", "GET", EnvironmentVersionsOperations.get),
        ("PutEnvironment", "PUT", EnvironmentVersionsOperations.create_or_update),
    ):
        yield name, verb, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.metadata["url"]))
    yield "GetRun", "GET", _HISTORY


class Blobs:
    """A container of the account."""

    def __init__(self, url: str, key: str, container: str) -> None:
        self.client = ContainerClient(url, container, credential={"account_name": ACCOUNT, "account_key": key})

    def names(self, prefix: str) -> list[str]:
        """List objects."""
        return [one.name for one in self.client.list_blobs(name_starts_with=prefix)]

    def get(self, name: str) -> bytes:
        """Read an object."""
        return self.client.download_blob(name).readall()

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        self.client.upload_blob(name, content, overwrite=True)


class Job(MountedJob):
    """One command job, as its JSON."""

    def __init__(self, name: str, said: Message, folder: Path, account: tuple[str, str], how: Message) -> None:
        super().__init__(how)
        self.name, self.said, self.folder, self.account = name, said, folder, account
        self.status, self.error = "NotStarted", {}
        self.began_at = self.ended_at = ""
        self.created_at = _now()
        self.go()

    def live(self) -> None:
        """Wait for nodes, run, and end."""
        self.status = "Queued"
        self.stopping.wait(self.how.get("pending", 0.05))
        if self.stopping.is_set():
            return self.end("Canceled")
        if reason := self.how.pop("reason", ""):
            return self.end("Failed", self.how.get("kind", "UserError"), reason)
        limits = models.CommandJobLimits.deserialize({**(self.said.get("limits") or {})})
        most = limits.timeout.total_seconds() if limits.timeout else float("inf")
        while True:
            try:
                run = self._run()
            except ResourceNotFoundError as error:
                return self.end("Failed", "UserError", f"Data access failed: {error.reason}: {error.message}")
            self.status, self.began = "Running", self.began or time.time()
            self.began_at = self.began_at or _now()
            why = run.ended(lambda: self.why_end(most))
            if why != "taken back":
                break
            self.status = "Queued"
        if why:
            return self.end("Canceled")
        self.status = "Finalizing"
        fallen = [one.code for one in self.containers if one.code]
        own = [code for code in fallen if code != 137] or fallen  # the others were killed because of it
        if not own:
            return self.end("Completed")
        return self.end(
            "Failed",
            "UserError",
            f"Execution failed. User process 'python' exited with status code {own[0]}. Please check log file"
            " 'user_logs/std_log.txt' for error details.",
        )

    def end(self, status: str, kind: str = "", why: str = "") -> None:
        """Enter a last state."""
        self.ended_at = _now()
        self.error = {"error": {"code": kind, "message": why}} if kind else {}
        self.status = status

    def fail(self, why: str) -> None:
        """End as the service's own fault."""
        self.end("Failed", "ServiceError", why)

    def _run(self) -> Run:
        """Start all nodes, each with what is brought to it, and what it leaves mounted."""
        names = hosts(int(self.said["resources"]["instanceCount"]))
        workers = [f"{name}:2222" for name in names]
        self.containers, mounts = [], []
        for number in range(len(names)):
            node = HostProcess(self.folder / f"node-{number}")
            more = {"AZUREML_RUN_ID": self.name}
            if "distribution" in self.said:
                task = {"type": "worker", "index": number}
                said = {"cluster": {"worker": workers}, "task": task, "environment": "cloud"}
                more["TF_CONFIG"] = json.dumps(said)
            line = _PLACE.sub(lambda place, node=node: self._place(place, node, mounts), self.said["command"])
            node.run(["sh", "-c", line], self.said["environmentVariables"], more)
            self.containers.append(node)
        return Run(self.containers, mounts)

    def _place(self, place: re.Match[str], node: HostProcess, mounts: list[Mount]) -> str:
        """Bring an input to a node, or mount an output there; returns where it is."""
        datastore, path = _uri(self.said[place[1]][place[2]]["uri"])
        blobs = Blobs(*self.account, DATASTORES[datastore])
        if place[1] == "inputs":
            file = node.folder / "inputs" / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(blobs.get(path))
            return str(file)
        mount = Mount(blobs, node.folder / "outputs")
        mount.bring(path)
        mounts.append(mount)
        return str(mount.folder / path)

    def shown(self) -> Message:
        """Return the job as ``GET`` shows it."""
        tracking = {"jobServiceType": "Tracking", "endpoint": f"azureml://westeurope.api.azureml.ms{WORKSPACE_ID}"}
        return {
            "id": f"{WORKSPACE_ID}/jobs/{self.name}",
            "name": self.name,
            "type": "Microsoft.MachineLearningServices/workspaces/jobs",
            "systemData": {"createdAt": self.created_at},
            "properties": {**self.said, "status": self.status, "services": {"Tracking": tracking}},
        }

    def details(self) -> Message:
        """Return the run as the history tells it."""
        when = {"createdTimeUtc": self.created_at, "startTimeUtc": self.began_at, "endTimeUtc": self.ended_at}
        return {"runId": self.name, "status": self.status, "error": self.error or None, **when}


class AzureML(JobService):
    """The operations that Loopline uses, and no other."""

    def __init__(self, folder: Path, account: tuple[str, str], token: str) -> None:
        super().__init__()
        self.folder, self.account, self.token = folder, account, token
        self.routes = [*routes(), *endpoint_routes()]
        self.jobs: dict[str, Job] = {}
        self.environments: dict[tuple[str, str], Message] = {}
        self.endpoints = Endpoints(folder / "endpoints", self.fault, self.environments)
        self.endpoints.workspace = WORKSPACE_ID

    def operation(self, method: str, path: str) -> tuple[str, Message]:
        """Find an operation by the client's own paths."""
        for name, verb, pattern in self.routes:
            if verb == method and (found := pattern.fullmatch(path)):
                return name, found.groupdict()
        raise Refusal(404, "InvalidResourceType", f"The resource type could not be found for {method} {path}.")

    def allow(self, token: str) -> None:
        """Let in who bears the token."""
        if token != self.token:
            raise Refusal(401, "InvalidAuthenticationToken", "The access token is invalid.")

    def error(self, no: Refusal) -> Message:
        """Write a refusal as Azure Resource Manager does."""
        return {"error": {"code": no.code, "message": no.message}}

    def headers(self, no: Refusal) -> dict[str, str]:
        """Say when to ask again."""
        return {"Retry-After": "1"} if no.status == 429 else {}

    def handed_on(self, url: str, token: str, content_type: str, body: bytes) -> Handed | None:
        """Hand on what is asked of an endpoint."""
        if not url.startswith("/endpoints/"):
            return None
        self.requests.append(("Score", {"path": url}))
        self.refuse(self.fault("Score"))
        return self.endpoints.scored(url, token, self.token, content_type, body)

    def do(self, operation: str, said: Message, query: Message, body: bytes) -> Answer:
        """Do an operation."""
        if operation == "GetRun":
            return 200, self._job(said["id"]).details()
        if "workspaceName" in said:
            self._check_place(said, query)
        if operation in self.endpoints.names:
            self.endpoints.url = self.url
            return self.endpoints.do(operation, said, body)
        if operation.endswith("Environment"):
            return self._environment(operation, (said["name"], said["version"]), body)
        if operation == "ListJobs":
            return 200, self._listed(query)
        if operation == "PutJob":
            return self._put(said["id"], parsed(models.JobBase, body)["properties"])
        return self._of_job(operation, said)

    def _check_place(self, said: Message, query: Message) -> None:
        """Refuse what is asked of another version or place."""
        if query.get("api-version") != API_VERSION:
            raise Refusal(400, "InvalidApiVersionParameter", f"The api-version {query.get('api-version')} is invalid.")
        if f"{said['subscriptionId']}/{said['resourceGroupName']}" != f"{SUBSCRIPTION}/{GROUP}":
            raise Refusal(404, "ResourceGroupNotFound", f"Resource group {said['resourceGroupName']!r} is not there.")
        if said["workspaceName"] != WORKSPACE:
            raise Refusal(404, "ResourceNotFound", f"The Resource 'workspaces/{said['workspaceName']}' was not found.")

    def _of_job(self, operation: str, said: Message) -> Answer:
        job = self._job(said["id"])
        if operation == "GetJob":
            return 200, job.shown()
        if job.ended_at:
            raise Refusal(400, "UserError", f"The run {job.name} is in a terminal state: {job.status}.")
        job.status = "CancelRequested"
        job.stopping.set()
        return 202, {}

    def _job(self, name: str) -> Job:
        if name not in self.jobs:
            raise Refusal(404, "UserError", f"Job {name} not found.")
        return self.jobs[name]

    def _put(self, name: str, said: Message) -> tuple[int, Message]:
        """Make a job; of one that is there only what may be changed is taken."""
        if wrong := self._wrong(name, said):
            raise Refusal(400, "UserError", wrong)
        with self.lock:
            there = self.jobs.get(name)
            if there is None:
                how = self.faults and next((one for one in self.faults if one["operation"] == "job"), None)
                if how:
                    self.faults.remove(how)
                self.jobs[name] = Job(name, said, self.folder / name, self.account, dict(how or {}))
                return 201, self.jobs[name].shown()
        if {k: v for k, v in said.items() if k not in _CHANGEABLE} != {
            k: v for k, v in there.said.items() if k not in _CHANGEABLE
        }:
            raise Refusal(400, "UserError", f"A job with this name already exists: {name}. Use a different name.")
        there.said |= {k: v for k, v in said.items() if k in _CHANGEABLE}
        return 200, there.shown()

    def _environment(self, operation: str, which: tuple[str, str], body: bytes) -> tuple[int, Message]:
        there = self.environments.get(which)
        if operation == "GetEnvironment":
            if there is None:
                raise Refusal(404, "UserError", f"Environment {which[0]}:{which[1]} not found.")
            return 200, {"name": which[1], "properties": there}
        said = parsed(models.EnvironmentVersion, body)["properties"]
        if not said.get("image"):
            raise Refusal(400, "UserError", "An environment needs an image or a build context.")
        if there is not None and there != said:
            raise Refusal(409, "UserError", f"The environment {which[0]}:{which[1]} is there and does not change.")
        self.environments[which] = said
        return 201, {"name": which[1], "properties": said}

    def _listed(self, query: Message) -> Message:
        """List jobs that have a tag, a page at a time, the newest first."""
        if strange := set(query) - {"api-version", "tag", "$skip"}:
            raise Refusal(400, "UserError", f"this fake does not know {sorted(strange)}")
        tag, first = query.get("tag"), int(query.get("$skip") or 0)
        found = [job for job in [*self.jobs.values()][::-1] if tag is None or tag in job.said.get("tags", {})]
        page: Message = {"value": [job.shown() for job in found[first : first + PAGE]]}
        if len(found) > first + PAGE:
            more = f"api-version={API_VERSION}&tag={tag}&$skip={first + PAGE}"
            page["nextLink"] = f"{self.url}{WORKSPACE_ID}/jobs?{more}"
        return page

    url = ""

    def _wrong(self, name: str, said: Message) -> str:
        """Say what the service refuses although its messages allow it."""
        cluster = str(said.get("computeId", "")).removeprefix(f"{WORKSPACE_ID}/computes/")
        if not _NAME.fullmatch(name):
            return f"The job name {name!r} is invalid."
        if cluster not in CLUSTERS:
            return f"Compute with name {cluster!r} not found in the workspace."
        if not 1 <= said["resources"]["instanceCount"] <= CLUSTERS[cluster]:
            return f"The instance count exceeds the max node count of {cluster!r}, {CLUSTERS[cluster]}."
        known = {f"{WORKSPACE_ID}/environments/{name}/versions/{version}" for name, version in self.environments}
        if said["environmentId"] not in known:
            return f"The environment {said['environmentId']!r} is not there."
        places = {kind: said.get(kind) or {} for kind in ("inputs", "outputs")}
        for kind, place in _PLACE.findall(said["command"]):
            if place not in places[kind]:
                return f"The command names {kind}.{place}, which is not there."
        return next(filter(None, (_wrong_place(*one) for kind in places.values() for one in kind.items())), "")


def _wrong_place(name: str, said: Message) -> str:
    found = _URI.fullmatch(said.get("uri", ""))
    if found is None or found[1] not in DATASTORES:
        return f"The uri of {name!r} names no datastore of this workspace: {said.get('uri')}"
    modes = models.InputDeliveryMode if "jobInputType" in said else models.OutputDeliveryMode
    return "" if said.get("mode") in {mode.value for mode in modes} else f"{said.get('mode')!r} is no mode of {name!r}"


def _uri(text: str) -> tuple[str, str]:
    found = _URI.fullmatch(text)
    assert found is not None
    return found[1], found[2]


def _now() -> str:
    """Return now as Azure writes it, with seven digits of a second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f0Z")


def main(port: int, certificate: str, folder: Path, account: tuple[str, str], token: str) -> None:
    """Serve until it is ended, and endpoints' containers with it."""
    AzureML.url = f"https://127.0.0.1:{port}"
    service = AzureML(folder, account, token)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(service, port, certificate)
    finally:
        service.endpoints.end()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), (sys.argv[4], sys.argv[5]), sys.argv[6])
