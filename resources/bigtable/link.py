"""Bigtable client, with timeouts and error mapping."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from loopline.resources.bigtable.cells import Cell, mutations, seen_filter
from loopline.resources.bigtable.chunks import cells_of
from loopline.resources.google_cloud.channel import project_of, transport_of
from loopline.resources.google_cloud.failure import Asked, of_code, translated

EMULATOR = "BIGTABLE_EMULATOR_HOST"
"""By which Google's tools say where an emulator runs."""
WRITERS = 32
"""Rows that are changed at once: each is a request, and waits for the service."""


class Reach(NamedTuple):
    """Which table, by which profile of routing, through which host."""

    project: str | None
    instance: str
    table: str
    family: str
    app_profile: str
    endpoint: str | None


class Link:
    """A client of one table; ``endpoint`` is a host, or ``http://host:port`` of an emulator, which asks for nobody.

    Raises:
        InvalidEnvironment: there is no identity, or no project.
    """

    def __init__(self, reach: Reach) -> None:
        from google.cloud.bigtable_v2.services.bigtable import BigtableClient
        from google.cloud.bigtable_v2.services.bigtable.transports import BigtableGrpcTransport

        with translated(_asked(reach, reach.instance)):
            transport, found = transport_of(BigtableGrpcTransport, reach.endpoint, EMULATOR)
        project = project_of(reach.project, found, "Bigtable")
        self.family = reach.family
        self._table = f"projects/{project}/instances/{reach.instance}/tables/{reach.table}"
        self._at = {"table_name": self._table, "app_profile_id": reach.app_profile}
        self.asked = _asked(reach, self._table)
        self.writers = ThreadPoolExecutor(WRITERS, "loopline-bigtable-write")
        self._client = BigtableClient(transport=transport)

    def cells(self, names: Sequence[str], seconds: float) -> dict[str, Cell]:
        """Read the rows that there are, by their names."""
        from google.cloud.bigtable_v2.types import bigtable, data

        rows = data.RowSet(row_keys=[name.encode() for name in names])
        how = seen_filter(self.family, None)
        request = bigtable.ReadRowsRequest(rows=rows, filter=how, **self._at)
        with translated(self.asked):
            return dict(cells_of(self._answers(request, seconds)))

    def names(self, first: str, last: str, most: int, seconds: float) -> list[str]:
        """Return the names of rows between two, both left out, in their order."""
        from google.cloud.bigtable_v2.types import bigtable, data

        between = data.RowRange(start_key_open=first.encode(), end_key_open=last.encode())
        # of each row one cell without its value
        how = [
            seen_filter(self.family, None),
            data.RowFilter(cells_per_row_limit_filter=1),
            data.RowFilter(strip_value_transformer=True),
        ]
        request = bigtable.ReadRowsRequest(
            rows=data.RowSet(row_ranges=[between]),
            filter=data.RowFilter(chain=data.RowFilter.Chain(filters=how)),
            rows_limit=most,
            **self._at,
        )
        with translated(self.asked):
            return [name for name, _ in cells_of(self._answers(request, seconds))]

    def change(self, name: str, mark: bytes | None, packed: bytes | None, until_us: int | None, seconds: float) -> bool:
        """Change a row if it holds the cell of this mark, or with none nothing; says whether it did."""
        from google.cloud.bigtable_v2.types import bigtable

        wanted = mutations(self.family, packed, until_us)
        request = bigtable.CheckAndMutateRowRequest(
            row_key=name.encode(),
            predicate_filter=seen_filter(self.family, mark),
            true_mutations=[] if mark is None else wanted,
            false_mutations=wanted if mark is None else [],
            **self._at,
        )
        with translated(self.asked):
            answer = self._client.check_and_mutate_row(request, **_ended(seconds))
        return bool(answer.predicate_matched) == (mark is not None)

    def delete(self, names: Sequence[str], seconds: float) -> None:
        """Take away what rows hold, whatever it is.

        Raises:
            Transient: some are left.
        """
        from google.cloud.bigtable_v2.types import bigtable

        entries = [
            bigtable.MutateRowsRequest.Entry(row_key=name.encode(), mutations=mutations(self.family, None, None))
            for name in names
        ]
        request = bigtable.MutateRowsRequest(entries=entries, **self._at)
        with translated(self.asked):
            told = [
                each.status
                for answer in self._client.mutate_rows(request, **_ended(seconds))
                for each in answer.entries
            ]
        for status in told:
            if status.code:
                raise of_code(status.code, status.message, self.asked)

    def close(self) -> None:
        """Let the channel and the threads go."""
        self.writers.shutdown(wait=False, cancel_futures=True)
        self._client.transport.close()

    def _answers(self, request: Any, seconds: float) -> Any:
        from google.cloud.bigtable_v2.types import bigtable

        return map(bigtable.ReadRowsResponse.pb, self._client.read_rows(request, **_ended(seconds)))


def _ended(seconds: float) -> dict[str, Any]:
    return {"timeout": seconds, "retry": None}  # who asks decides whether to try again


def _asked(reach: Reach, place: str) -> Asked:
    made = f"cbt -instance {reach.instance} createtable {reach.table} families={reach.family}:maxage=1h"
    return Asked(
        f"Bigtable {place}",
        f"create the table with its family ('{made}'), or name another",
        "grant this identity roles/bigtable.user on the instance or the table, and enable bigtable.googleapis.com",
        "name with 'app_profile' a profile that routes to a single cluster and allows single-row transactions",
    )
