"""Where events flow: partitions of records, each with its offset."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platform_core.contracts.base import Vendor

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Record:
    """What is published: ``value`` and ``key`` are bytes; records of one key keep their order."""

    value: bytes
    key: bytes | None = None
    headers: Mapping[str, str] | None = None


class EventStream(Vendor):
    """Partitions of records that stay where they are; whoever reads keeps the offsets.

    A stream is named ``team/source``. An offset says where a record stands in its partition; the next one is larger,
    though not always by one. Promises, each with a test in ``platform_core.testing.event_stream``:
      1. ``read`` gives the records from the given offsets on, each partition in order, none left out.
      2. Reading does not consume: the same offsets read the same again.
      3. ``limit`` bounds the records of a call; what is left comes with the next.
      4. ``next`` of a record, given as offset, reads on behind it.
      5. ``ends`` gives the offset behind the newest record; a partition that was read up to there has no lag.
      6. Bytes come back as they were published: keys, values, headers; a null key is null.
      7. A stream that nobody wrote to has no records.
      8. Records of one key come in the order in which they were published.
    """

    @abc.abstractmethod
    def ends(self, stream: str) -> Mapping[int, int]:
        """Return, per partition, the offset behind its newest record.

        Raises:
            StoreUnavailable: the broker did not answer in time.
        """

    @abc.abstractmethod
    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read records from ``offsets`` on (a partition left out: from its first), waiting a while for the first one.

        Returns:
            ``partition`` (int32), ``offset`` (int64), ``next`` (int64: the offset to read on from), ``key`` and
            ``value`` (binary), ``headers`` (a JSON object, string), ``at`` (when it was published, UTC µs).

        Raises:
            ContractBroken: records before an offset were asked for that the broker no longer has.
        """

    @abc.abstractmethod
    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Append records and return once the broker has them; a stream that is not there is made."""
