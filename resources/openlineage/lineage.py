"""Lineage as OpenLineage run events: posted to Marquez, DataHub or others, or appended to a file."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self
from urllib.parse import urljoin

from pydantic import AfterValidator, SecretStr, model_validator

from loopline.platform_core.contracts.http_post import checked_url, post
from loopline.platform_core.contracts.lineage import Dataset, Lineage, Run, RunEvent
from loopline.resources.openlineage import facets
from loopline.resources.openlineage.naming import named

if TYPE_CHECKING:
    from openlineage.client import event_v2

PRODUCER = f"urn:loopline:{version('loopline')}"


class OpenLineage(Lineage):
    """Posts each event to ``<url>/<endpoint>``, or appends it to ``file`` as a line of JSON: one of the two is named.

    ``api_key`` is sent as a bearer token.
    """

    extras = ("openlineage",)
    url: Annotated[str, AfterValidator(lambda url: checked_url(url) if url else url)] = ""
    endpoint: str = "api/v1/lineage"
    api_key: SecretStr = SecretStr("")
    timeout_seconds: float = 5.0
    file: Path | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if bool(self.url) == (self.file is not None):
            raise ValueError("name either url or file")
        return self

    def emit(self, events: Sequence[RunEvent]) -> None:
        """Tell what happened, one request an event; into a file all at once.

        Raises:
            StoreUnavailable: the receiver is busy, gone or silent. Refused: it does not take an event.
        """
        bodies = [self._written(event) for event in events]
        if self.file is not None:
            _append(self.file, bodies)
            return
        key = self.api_key.get_secret_value()
        headers = {"content-type": "application/json"} | ({"authorization": f"Bearer {key}"} if key else {})
        for body in bodies:
            post(urljoin(self.url.rstrip("/") + "/", self.endpoint), body, headers, self.timeout_seconds)

    def _written(self, event: RunEvent) -> bytes:
        from openlineage.client import event_v2
        from openlineage.client.serde import Serde

        places = {one.name: one.place for one in event.inputs}
        made = event_v2.RunEvent(
            eventType=event_v2.RunState[event.what],
            eventTime=event.at.isoformat(),
            run=event_v2.Run(str(event.run.run_id), facets=self._run_facets(event)),
            job=self._job(event.run),
            inputs=[self._input(one) for one in event.inputs],
            outputs=[self._output(one, places) for one in event.outputs],
            producer=PRODUCER,
        )
        return str(Serde.to_json(made)).encode()

    def _job(self, run: Run) -> event_v2.Job:
        from openlineage.client import event_v2, facet_v2

        kind = facet_v2.job_type_job.JobTypeJobFacet("BATCH", "LOOPLINE", "JOB", producer=PRODUCER)
        return event_v2.Job(self.namespace, run.job, facets={"jobType": kind})

    def _input(self, one: Dataset) -> event_v2.InputDataset:
        from openlineage.client import event_v2

        about = facets.of_dataset(one, self.namespace, PRODUCER)
        where = named(self.namespace, one.name, one.place)
        return event_v2.InputDataset(*where, facets=about, inputFacets=facets.of_checks(one, PRODUCER))

    def _output(self, one: Dataset, places: Mapping[str, str]) -> event_v2.OutputDataset:
        from openlineage.client import event_v2, facet_v2

        statistics = facet_v2.output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet
        counted: dict[str, Any] = {}
        if one.rows is not None:
            counted["outputStatistics"] = statistics(rowCount=one.rows, producer=PRODUCER)
        about = facets.of_dataset(one, self.namespace, PRODUCER)
        about |= facets.of_origins(one, places, self.namespace, PRODUCER)
        return event_v2.OutputDataset(*named(self.namespace, one.name, one.place), facets=about, outputFacets=counted)

    def _run_facets(self, event: RunEvent) -> dict[str, Any]:
        from openlineage.client import facet_v2

        found: dict[str, Any] = {}
        if event.parent is not None:
            of = facet_v2.parent_run
            run, job = of.Run(str(event.parent.run_id)), of.Job(self.namespace, event.parent.job)
            found["parent"] = of.ParentRunFacet(run, job, producer=PRODUCER)
        if event.problem:
            message = facet_v2.error_message_run.ErrorMessageRunFacet
            found["errorMessage"] = message(event.problem, "Python", producer=PRODUCER)
        if event.tags:
            tags = facet_v2.tags_run
            named = [tags.TagsRunFacetFields(key, value, "LOOPLINE") for key, value in sorted(event.tags.items())]
            found["tags"] = tags.TagsRunFacet(named, producer=PRODUCER)
        return found


def _append(path: Path, bodies: Sequence[bytes]) -> None:
    """Append lines in one write, so that several processes may share the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, b"".join(body + b"\n" for body in bodies))
    finally:
        os.close(file)
