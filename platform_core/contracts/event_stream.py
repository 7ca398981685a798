"""Contract of event streams: partitions of records with offsets, read alone or by a consumer group."""

from __future__ import annotations

import abc
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.errors import Unsupported

if TYPE_CHECKING:
    import pyarrow as pa


TRANSACTIONS = "transactions"
"""Groups read a stream together, and what they publish appears together with how far they have read, or not at all."""


@dataclass(frozen=True, slots=True)
class Record:
    """What is published: ``value`` and ``key`` are bytes; records of one key keep their order.

    Without a value it is a tombstone: what its key names is no more.
    """

    value: bytes | None
    key: bytes | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class AsJson:
    """Records as ``records_schema`` describes them, their values as JSON, in the order in which they were read.

    ``unread`` says by a record's place why it is none, as a dead letter has it; such a record is as it came.
    """

    records: pa.Table
    unread: Mapping[int, str] = field(default_factory=dict)


class Read(NamedTuple):
    """A record as read, in the order of ``records_schema``; ``at`` in µs since 1970."""

    partition: int
    offset: int
    next: int
    key: bytes | None
    value: bytes | None
    headers: str
    at: int


class Member(abc.ABC):
    """One of those who read a stream as a group: each partition is one member's at a time. Not for several threads.

    ``moves`` counts how often this member's partitions have changed; look at it after ``take``.
    """

    moves: int = 0

    @abc.abstractmethod
    def take(self, limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read on where the group stands in the partitions that are this member's now.

        Returns:
            At most ``limit`` rows as ``records_schema`` describes them; none while partitions change hands.

        Raises:
            StoreUnavailable: the broker did not answer in time.
        """

    @abc.abstractmethod
    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        """Publish records (by stream) and move the group behind everything taken: both, or neither.

        Raises:
            CommitConflict: a partition has become another member's; nothing was published, take again.
            StoreUnavailable: the broker did not answer in time; whether it is done shows in what ``take`` gives next.
        """

    @abc.abstractmethod
    def abandon(self) -> None:
        """Give back what was taken and not committed: it is taken again."""

    @abc.abstractmethod
    def close(self) -> None:
        """Leave the group; what was not committed is left to others."""


class EventStream(Vendor):
    """Partitions of records that stay where they are; whoever reads keeps the offsets.

    A stream is named ``team/source``. An offset says where a record stands in its partition; the next one is larger,
    though not always by one. Promises, each with a test in ``loopline.platform_core.testing.event_stream``:
      1. ``read`` gives the records from the given offsets on, each partition in order, none left out.
      2. Reading does not consume: the same offsets read the same again.
      3. ``limit`` bounds the records of a call; what is left comes with the next.
      4. ``next`` of a record, given as offset, reads on behind it.
      5. ``ends`` gives the offset behind the newest record; a partition that was read up to there has no lag.
      6. Bytes come back as they were published: keys, values, headers; a null key is null. A record that is too large
         is refused (``ContractBroken``).
      7. A stream that nobody wrote to has no records.
      8. Records of one key are in one partition, in the order in which they were published.
      9. A read that finds nothing waits ``wait_seconds`` for a first record, and no longer than until it comes.
      10. An offset behind the newest record is refused: the stream is not the one from which it was read.

    And where ``can`` names ``transactions`` (``loopline.platform_core.testing.event_stream_groups``):
      11. What a member commits and the place of its group appear together: a member that ends before leaves nothing
          behind, and what it took is taken again; once committed it shows within a moment, and nobody takes it again.
      12. The members of a group share the partitions, also while some come and others go: each record is committed
          once.
      13. What was abandoned is taken again.
      14. Groups know nothing of each other, and a group that is new begins with the first record.
    """

    @abc.abstractmethod
    def ends(self, stream: str) -> Mapping[int, int]:
        """Return, per partition, the offset behind its newest record; nothing where there is no such stream.

        Raises:
            StoreUnavailable: the broker did not answer in time.
        """

    @abc.abstractmethod
    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read records from ``offsets`` on (a partition left out: from the first one that is kept).

        Returns:
            At most ``limit`` rows as ``records_schema`` describes them; records of several partitions may be mixed.

        Raises:
            StoreUnavailable: the broker did not answer in time.
            ContractBroken: the stream no longer keeps, or does not have yet, what stands at an offset.
        """

    @abc.abstractmethod
    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Append records and return once the broker has them; a stream that is not there is made.

        Raises:
            StoreUnavailable: the broker did not take all of them in time; some may be there.
            ContractBroken: the broker refuses a record, such as one that is too large.
        """

    def as_json(self, stream: str, records: pa.Table) -> AsJson:  # noqa: ARG002 - for those who know schemas
        """Turn records that bear a schema's id into JSON; others stay as they are.

        Raises:
            StoreUnavailable: what keeps the schemas did not answer in time. InvalidEnvironment: it refuses.
        """
        return AsJson(records)

    def place(self, stream: str) -> str:  # noqa: ARG002 - vendors that have one need it
        """Return the path or URL by which other tools know a stream, "" where there is none."""
        return ""

    def join(self, stream: str, group: str, member: str = "") -> Member:  # noqa: ARG002 - for those who can
        """Become a member of a group that reads a stream; a stream that is not there is made.

        A ``member`` with a name takes over at once from one of that name that died.

        Raises:
            Unsupported: the vendor lacks ``transactions``.
        """
        raise Unsupported(
            f"{type(self).__name__} has no transactions, so {group!r} cannot read {stream!r} and answer exactly once",
            "bind an event_stream that can 'transactions', such as kafka or folder",
        )


def records_schema() -> pa.Schema:
    """Describe records as read.

    ``next`` is the offset to read on from, ``value`` null where a broker holds none, ``headers`` a JSON object of
    text, ``at`` when the record was published (UTC, µs, by the clock of the producer or of the broker).
    """
    import pyarrow as pa

    places = [("partition", pa.int32()), ("offset", pa.int64()), ("next", pa.int64())]
    content = [("key", pa.binary()), ("value", pa.binary()), ("headers", pa.string())]
    return pa.schema([*places, *content, ("at", pa.timestamp("us", "UTC"))])


def records_table(records: Sequence[Read]) -> pa.Table:
    """Make the table that ``read`` gives."""
    import pyarrow as pa

    schema = records_schema()
    columns = zip(*records, strict=True) if records else [()] * len(schema)
    return pa.table([pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema)
