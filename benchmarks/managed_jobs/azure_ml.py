"""Both sides on Azure ML: our compute, and Microsoft's clients alone."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.managed_jobs.service import ARGUMENTS, POLL_SECONDS, REQUIREMENTS, Service, order
from loopline.platform_core.testing.compute import ECHO
from loopline.resources.azure_ml import looks
from loopline.resources.azure_ml.compute import AzureMLCompute
from loopline.resources.azure_ml.link import Link
from loopline.resources.azure_ml.request import command_job
from loopline.resources.azure_ml.service import MOST_NAME_CHARS
from loopline.resources.managed_jobs.folder import LEFT
from loopline.resources.managed_jobs.machines import smallest
from loopline.resources.managed_jobs.names import job_name
from loopline.resources.managed_jobs.task_files import TASK, answer_file, read_answer
from tests.emulators.azure_ml_server import GROUP, WORKSPACE, AzureMLServer, Identity
from tests.emulators.azurite import Azurite

_PREFIX, _OTHERS = "bench", "hand"


@contextmanager
def opened(folder: Path) -> Iterator[Service]:
    """Run the fake, its object store, and where an identity gets its tokens."""
    with ExitStack() as stack:
        (folder / "blobs").mkdir(parents=True)
        (folder / "jobs").mkdir()
        azurite = Azurite(folder / "blobs")
        azurite.start()
        stack.callback(azurite.kill)
        server = AzureMLServer(folder / "jobs", azurite, "good")
        server.start()
        stack.callback(server.program.end)
        identity = Identity("good")
        stack.callback(identity.end)
        os.environ.update(identity.environment)
        compute = AzureMLCompute(**server.settings(_PREFIX) | {"poll_seconds": POLL_SECONDS})
        stack.callback(compute.close)
        yield _service(compute)


def _service(compute: AzureMLCompute) -> Service:
    link = Link(compute)  # for its clients; what they are asked by hand goes around it

    def times(name: str) -> tuple[float, float]:
        job = link.azure_ml.jobs.get(GROUP, WORKSPACE, name)
        began = datetime.fromisoformat(link.run_details(job)["startTimeUtc"])
        return job.system_data.created_at.timestamp(), began.timestamp()

    return Service(
        ours=lambda key: compute.run(ECHO, ARGUMENTS, REQUIREMENTS, key),
        by_hand=lambda name: _by_hand(compute, link, name),
        times=times,
        name_of=lambda key: job_name(_PREFIX, key, 1, MOST_NAME_CHARS),
    )


def _by_hand(compute: AzureMLCompute, link: Link, name: str) -> Callable[[], Any]:
    """Write a job's request, and return what lays its task, asks for it, waits and reads its answer."""
    wanted, jobs = order(name, smallest(compute.clusters, REQUIREMENTS, 1)), link.azure_ml.jobs
    request = command_job(compute, wanted, _OTHERS, f"{name}/{TASK}")

    def run() -> Any:
        link.blobs.upload_blob(f"{_PREFIX}/{name}/{TASK}", wanted.task, overwrite=True)
        jobs.create_or_update(GROUP, WORKSPACE, name, request)
        while jobs.get(GROUP, WORKSPACE, name).properties.status in looks.AT_WORK:
            time.sleep(POLL_SECONDS)
        content = link.blobs.download_blob(f"{_PREFIX}/{name}/{LEFT}/{answer_file(0)}").readall()
        return json.loads(str(read_answer(content)))

    return run
