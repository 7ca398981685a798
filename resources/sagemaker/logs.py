"""Log of a training job, from CloudWatch Logs."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import Any

from loopline.resources.managed_jobs.deadline import write_line
from loopline.resources.managed_jobs.service import Lines
from loopline.resources.sagemaker.in_job import END
from loopline.resources.sagemaker.link import Link

GROUP = "/aws/sagemaker/TrainingJobs"
LAST_SECONDS = 10.0
"""How long the end of a log may take to arrive, once its job has ended."""
_PAUSE_SECONDS = 0.5
_PAGE_LINES = 10_000


class Log(Lines):
    """Copies the log of each host of a job, line by line; of several each line says whose it is."""

    def __init__(self, link: Link, job: str, workers: int) -> None:
        self.client, self.job, self.workers = link.logs, job, workers
        self.places: dict[str, str | None] = {}
        self.whole: set[str] = set()

    def copy(self) -> None:
        """Copy what came since; a log that cannot be read does not end what it tells of."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):
            if len(self.places) < self.workers:
                self._look_for_hosts()
            for stream in self.places:
                self._copy(stream)

    def finish(self) -> None:
        """Copy until each host's last line is there; one that was killed has none, and is waited for some seconds."""
        until = time.monotonic() + LAST_SECONDS
        self.copy()
        while len(self.whole) < len(self.places) and time.monotonic() < until:
            time.sleep(_PAUSE_SECONDS)
            self.copy()

    def _look_for_hosts(self) -> None:
        found: dict[str, Any] = {"nextToken": None}
        while "nextToken" in found:
            more = {"nextToken": found["nextToken"]} if found["nextToken"] else {}
            found = self.client.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix=f"{self.job}/", **more)
            for stream in found.get("logStreams", ()):
                self.places.setdefault(stream["logStreamName"], None)

    def _copy(self, stream: str) -> None:
        """Copy pages until one is the end: it has the token that it was asked with."""
        host = stream.removeprefix(f"{self.job}/").rpartition("-")[0]
        prefix = f"[{host}] " if self.workers > 1 else ""
        while True:
            place = self.places[stream]
            more = {"nextToken": place} if place else {}
            page = self.client.get_log_events(
                logGroupName=GROUP, logStreamName=stream, startFromHead=True, limit=_PAGE_LINES, **more
            )
            for event in page["events"]:
                if event["message"].rstrip() == END:
                    self.whole.add(stream)
                else:
                    write_line(f"{prefix}{event['message']}")
            self.places[stream] = page["nextForwardToken"]
            if page["nextForwardToken"] == place:
                return
