"""A strict fake of Vertex AI's custom jobs, which it runs, and of its endpoints (``vertex_endpoints``).

Paths, messages and enumerations are those of Google's own client; a member that these do not have is refused, as is
what the service documents (labels, display names, filters). A container's command runs as a process of this machine,
with the bucket mounted and the variables that Vertex AI gives. What it cannot show: rights, quotas, images, networks,
real times. ``python -m tests.emulators.vertex <port> <folder> <url of Cloud Storage> <public key>`` lets in who has
signed by that key. Faults: ``job_service``; of a ``job`` also ``pending`` (seconds), ``reason`` (it fails so before it
begins) with ``rpc_code``, and ``interrupt_after`` (seconds until its machine is taken back).
"""

from __future__ import annotations

import itertools
import json
import re
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
from google.auth import exceptions, jwt
from google.cloud.aiplatform_v1 import CustomJob, JobState, ListCustomJobsResponse
from google.cloud.aiplatform_v1.services.job_service.transports import rest_base

from tests.emulators.job_service import Handed, JobService, Message, Refusal, serve
from tests.emulators.mounted_jobs import Mount, MountedJob, Run
from tests.emulators.training_container import HostProcess, hosts
from tests.emulators.vertex_endpoints import Endpoints, parsed, routes, to_json

OPERATIONS = ("CreateCustomJob", "GetCustomJob", "ListCustomJobs", "CancelCustomJob")
_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_VALUE = re.compile(r"[a-z0-9_-]{0,63}")
_TERM = re.compile(r'labels\.([a-z][a-z0-9_-]*)=([a-z0-9_-]+)|state="([A-Z_]+)"')
_TOKEN_SECONDS = 3600


class Storage:
    """A bucket of Cloud Storage's emulator."""

    def __init__(self, url: str, bucket: str) -> None:
        self.url, self.bucket, self.client = url, bucket, httpx.Client()

    def names(self, prefix: str) -> list[str]:
        """List objects."""
        found = self.client.get(f"{self.url}/storage/v1/b/{self.bucket}/o", params={"prefix": prefix}).json()
        return [one["name"] for one in found.get("items", ())]

    def get(self, name: str) -> bytes:
        """Read an object."""
        url = f"{self.url}/storage/v1/b/{self.bucket}/o/{quote(name, safe='')}"
        return self.client.get(url, params={"alt": "media"}).raise_for_status().content

    def put(self, name: str, content: bytes) -> None:
        """Write an object."""
        asked = {"uploadType": "media", "name": name}
        self.client.post(
            f"{self.url}/upload/storage/v1/b/{self.bucket}/o", params=asked, content=content
        ).raise_for_status()


class Job(MountedJob):
    """One custom job, as the client's message."""

    def __init__(self, message: Any, folder: Path, storage_url: str, how: Message) -> None:
        super().__init__(how)
        self.message, self.folder, self.storage_url = message, folder, storage_url
        self.step("PENDING")
        self.go()

    def step(self, state: str, why: str = "", code: int = 0) -> None:
        """Enter a state."""
        now, message = datetime.now(UTC), self.message
        if why:
            message.error.code, message.error.message = code, why
        if state == "RUNNING" and not self.began:
            self.began, message.start_time = time.time(), now
        if state in {"SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED"}:
            message.end_time = now
        message.update_time, message.state = now, JobState[f"JOB_STATE_{state}"]

    def fail(self, why: str) -> None:
        """End as the service's own fault."""
        self.step("FAILED", why, 13)

    def live(self) -> None:
        """Wait for machines, run, and end."""
        self.stopping.wait(self.how.get("pending", 0.05))
        if self.stopping.is_set():
            return self.step("CANCELLED", "CANCELED", 1)
        if reason := self.how.pop("reason", ""):
            return self.step("FAILED", reason, self.how.get("rpc_code", 3))
        self.step("RUNNING")
        most = self.message.job_spec.scheduling.timeout.total_seconds() or 604_800
        while (why := self._run().ended(lambda: self.why_end(most))) == "taken back":
            pass
        if why == "stopped":
            return self.step("CANCELLED", "CANCELED", 1)
        if why == "too long":
            return self.step("EXPIRED", "The job ran longer than its timeout.", 4)
        fallen = [(n, one.code) for n, one in enumerate(self.containers) if one.code]
        own = [one for one in fallen if one[1] != 137] or fallen  # the others were killed because of it
        if not fallen:
            return self.step("SUCCEEDED")
        n, code = own[0]
        start = " Termination reason: StartError." if code == 127 else ""
        return self.step(
            "FAILED",
            f"The replica {self._replica(n)} exited with a non-zero status of {code}.{start} To find out more about"
            " why your job exited please check the logs: https://console.cloud.google.com/logs/viewer",
            3,
        )

    def _replica(self, number: int) -> str:
        return "workerpool0-0" if number == 0 else f"workerpool1-{number - 1}"

    def _run(self) -> Run:
        """Start all containers, each with the buckets that its arguments name mounted."""
        pools = self.message.job_spec.worker_pool_specs
        names = hosts(sum(int(pool.replica_count) for pool in pools))
        cluster = {"workerpool0": [f"{names[0]}:2222"]} | (
            {"workerpool1": [f"{name}:2222" for name in names[1:]]} if names[1:] else {}
        )
        self.containers, mounts = [], []
        for number in range(len(names)):
            pool, index = (0, 0) if number == 0 else (1, number - 1)
            container = HostProcess(self.folder / f"replica-{number}")
            spec = pools[pool].container_spec
            words = [self._mounted(word, container.folder, mounts) for word in [*spec.command, *spec.args]]
            task = {"type": f"workerpool{pool}", "index": index}
            more = {
                "CLUSTER_SPEC": json.dumps({"cluster": cluster, "task": task, "environment": "cloud"}),
                "CLOUD_ML_JOB_ID": self.message.name.rpartition("/")[2],
            }
            container.run(words, {one.name: one.value for one in spec.env}, more)
            self.containers.append(container)
        return Run(self.containers, mounts)

    def _mounted(self, word: str, folder: Path, mounts: list[Mount]) -> str:
        if not word.startswith("/gcs/"):
            return word
        bucket, _, prefix = word.removeprefix("/gcs/").partition("/")
        here = folder / "gcs" / bucket
        mount = next((one for one in mounts if one.folder == here), None)
        if mount is None:
            mount = Mount(Storage(self.storage_url, bucket), here)
            mounts.append(mount)
        mount.bring(prefix)
        return str(here / prefix)


class Vertex(JobService):
    """The operations that Loopline uses, and no other."""

    def __init__(self, folder: Path, storage_url: str, key: bytes) -> None:
        super().__init__()
        self.folder, self.storage_url, self.key = folder, storage_url, key
        self.numbers = itertools.count(4_000_000_000_000_000_001)
        self.routes = routes(rest_base._BaseJobServiceRestTransport, OPERATIONS)
        self.jobs: dict[str, Job] = {}
        self.endpoints = Endpoints(folder / "endpoints", self.fault)

    def operation(self, method: str, path: str) -> tuple[str, Message]:
        """Find an operation by the client's own paths."""
        if path == "/token":
            return "token", {}
        for name, verb, pattern in self.routes + self.endpoints.routes:
            if verb == method and (found := pattern.fullmatch(path)):
                return name, found.groupdict()
        raise Refusal(501, "UNIMPLEMENTED", f"{method} {path} is not faked")

    def allow(self, token: str) -> None:
        """Let in who has signed by the key, or bears a token of ours."""
        if not token or token == "ours":
            return
        try:
            jwt.decode(token, certs=self.key.decode())
        except (ValueError, exceptions.GoogleAuthError) as error:
            raise Refusal(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.") from error

    def handed_on(self, url: str, token: str, content_type: str, body: bytes) -> Handed | None:
        """Hand on what is asked of an endpoint."""
        if not url.endswith(":rawPredict"):
            return None
        self.allow(token)
        if not token:
            raise Refusal(401, "UNAUTHENTICATED", "Request is missing required authentication credential.")
        self.requests.append(("RawPredict", {"path": url}))
        self.refuse(self.fault("RawPredict"))
        return self.endpoints.predicted(url, content_type, body)

    def error(self, no: Refusal) -> Message:
        """Write a refusal as Google does."""
        return {"error": {"code": no.status, "message": no.message, "status": no.code}}

    def do(self, operation: str, said: Message, query: Message, body: bytes) -> tuple[int, Message]:
        """Do an operation."""
        if operation == "token":
            return 200, {"access_token": "ours", "expires_in": _TOKEN_SECONDS, "token_type": "Bearer"}
        if operation == "CreateCustomJob":
            return 200, self.create(said["parent"], body)
        if operation == "ListCustomJobs":
            return 200, self.listed(said["parent"], query)
        if operation not in OPERATIONS:
            return 200, self.endpoints.do(operation, said, query, body)
        job = self.jobs.get(said["name"])
        if job is None:
            raise Refusal(404, "NOT_FOUND", f"The CustomJob does not exist: {said['name']}")
        if operation == "GetCustomJob":
            return 200, to_json(job.message)
        if job.message.end_time:
            raise Refusal(400, "FAILED_PRECONDITION", f"CustomJob {said['name']} has ended")
        job.step("CANCELLING")
        job.stopping.set()
        return 200, {}

    def create(self, parent: str, body: bytes) -> Message:
        """Make a job; a display name may be taken as often as one likes."""
        message = parsed(CustomJob, body)
        if wrong := _wrong(message):
            raise Refusal(400, "INVALID_ARGUMENT", wrong)
        with self.lock:
            number = str(next(self.numbers))
        message.name, message.create_time = f"{parent}/customJobs/{number}", datetime.now(UTC)
        job = Job(message, self.folder / number, self.storage_url, self.fault("job"))
        self.jobs[message.name] = job
        return to_json(message)

    def listed(self, parent: str, query: Message) -> Message:
        """List jobs by labels and state, a page at a time, the newest first."""
        terms = [_TERM.fullmatch(term) for term in query.get("filter", "").split(" AND ")]
        if not all(terms):
            raise Refusal(400, "INVALID_ARGUMENT", f"invalid filter: {query.get('filter')}")
        start, most = int(query.get("pageToken") or 0), int(query.get("pageSize") or 100)
        found = [
            job.message
            for job in [*self.jobs.values()][::-1]
            if job.message.name.startswith(f"{parent}/") and all(_fits(job.message, term) for term in terms if term)
        ]
        page = ListCustomJobsResponse(custom_jobs=found[start : start + most])
        if len(found) > start + most:
            page.next_page_token = str(start + most)
        return to_json(page)


def _fits(message: Any, term: re.Match[str]) -> bool:
    name, value, state = term.groups()
    return message.state.name == state if state else message.labels.get(name) == value


def _wrong(job: Any) -> str:
    """Say what the service refuses although its messages allow it."""
    pools = job.job_spec.worker_pool_specs
    if not 0 < len(job.display_name) <= 128:
        return "display_name must have 1 to 128 characters"
    if not pools or not 0 < len(pools) <= 4 or pools[0].replica_count != 1:
        return "the first worker pool must have one replica"
    if len(job.labels) > 64 or not all(_LABEL.fullmatch(k) and _VALUE.fullmatch(v) for k, v in job.labels.items()):
        return "Label keys and values can contain only lowercase letters, digits, underscores and dashes"
    return next(filter(None, map(_wrong_pool, pools)), "")


def _wrong_pool(pool: Any) -> str:
    machine = pool.machine_spec
    if not pool.container_spec.image_uri or not machine.machine_type or pool.replica_count < 1:
        return "a worker pool needs image_uri, machine_type and replica_count"
    if machine.machine_type.startswith(("g2-", "a2-", "a3-")) != bool(machine.accelerator_count):
        return f"Machine type {machine.machine_type!r} does not go with {machine.accelerator_count} accelerators"
    if len({one.name for one in pool.container_spec.env}) != len(pool.container_spec.env):
        return "environment variables must have unique names"
    return ""


def main(port: int, folder: Path, storage_url: str, key: bytes) -> None:
    """Serve until it is ended, and endpoints' containers with it."""
    vertex = Vertex(folder, storage_url, key)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        serve(vertex, port)
    finally:
        vertex.endpoints.end()


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]).read_bytes())
