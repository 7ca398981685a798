"""Both sides on Vertex AI: our compute, and Google's clients alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from benchmarks.managed_jobs.service import ARGUMENTS, POLL_SECONDS, REQUIREMENTS, Service, order
from loopline.platform_core.testing.compute import ECHO
from loopline.resources.managed_jobs.folder import LEFT
from loopline.resources.managed_jobs.machines import smallest
from loopline.resources.managed_jobs.names import job_name
from loopline.resources.managed_jobs.task_files import TASK, answer_file, read_answer
from loopline.resources.vertex.compute import VertexCompute
from loopline.resources.vertex.link import Link
from loopline.resources.vertex.request import NAME, custom_job
from loopline.resources.vertex.service import MOST_NAME_CHARS
from tests.emulators.gcs import BUCKET, GcsServer
from tests.emulators.vertex_server import IMAGE, PROJECT, VertexServer

_PREFIX, _OTHERS = "bench", "hand"
_AT_WORK = ("JOB_STATE_QUEUED", "JOB_STATE_PENDING", "JOB_STATE_RUNNING")


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    """Run the fake and its object store."""
    with ExitStack() as stack:
        (folder / "gcs").mkdir(parents=True)
        (folder / "jobs").mkdir()
        gcs = GcsServer(folder / "gcs")
        gcs.start()
        stack.callback(gcs.kill)
        server = VertexServer(folder / "jobs", gcs)
        server.program.start(lambda: urlopen(f"{server.url}/_requests").close())
        stack.callback(server.program.end)
        os.environ["GOOGLE_APPLICATION_CREDENTIALS"] = str(server.account)
        compute = VertexCompute(
            image=IMAGE,
            python="python",
            project=PROJECT,
            location="europe-west4",
            store=f"gs://{BUCKET}/{_PREFIX}",
            endpoints=server.endpoints,
            name_prefix=_PREFIX,
            poll_seconds=POLL_SECONDS,
        )
        stack.callback(compute.close)
        yield _service(compute)


def _service(compute: VertexCompute) -> Service:
    link = Link(compute)  # for its clients; what they are asked by hand goes around it

    def times(name: str) -> tuple[float, float]:
        (job,) = link.jobs.list_custom_jobs(request={"parent": link.parent, "filter": f"labels.{NAME}={name}"})
        return job.create_time.timestamp(), job.start_time.timestamp()

    return Service(
        ours=lambda key: compute.run(ECHO, ARGUMENTS, REQUIREMENTS, key),
        by_hand=lambda name: _by_hand(compute, link, name),
        times=times,
        name_of=lambda key: job_name(_PREFIX, key, 1, MOST_NAME_CHARS),
    )


def _by_hand(compute: VertexCompute, link: Link, name: str) -> Callable[[], Any]:
    """Write a job's request, and return what lays its task, asks for it, waits and reads its answer."""
    machine = smallest(compute.machine_types, REQUIREMENTS, 1)
    wanted, bucket = order(name, machine), link.storage.bucket(BUCKET)
    request = custom_job(compute, wanted, _OTHERS, f"{name}/{TASK}")

    def run() -> Any:
        bucket.blob(f"{_PREFIX}/{name}/{TASK}").upload_from_string(wanted.task)
        made = link.jobs.create_custom_job(parent=link.parent, custom_job=request)
        while link.jobs.get_custom_job(name=made.name).state.name in _AT_WORK:
            time.sleep(POLL_SECONDS)
        content = bucket.blob(f"{_PREFIX}/{name}/{LEFT}/{answer_file(0)}").download_as_bytes()
        return json.loads(str(read_answer(content)))

    return run
