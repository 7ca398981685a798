"""Delta commit of rows with their transactions: one attempt, and retries when another writer won the race."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from loopline.platform_core.errors import CommitConflict, one_line
from loopline.platform_core.foundation.names import described
from loopline.resources.delta.away import is_for_somebody, unavailable
from loopline.resources.delta.months import in_months, partitions, statistics_of
from loopline.resources.delta.transactions import chosen, version_of
from loopline.resources.delta.types import refuse_other_types

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable, PostCommitHookProperties
    from pyarrow.fs import FileSystem


@dataclass(frozen=True)
class Append:
    """Rows for a table, with their transactions and, where the writer says so, those on which it builds.

    Its commits bear ``mark``, by which it knows one of its own whose answer was lost.
    """

    table: str
    rows: pa.Table
    transactions: Mapping[str, int]
    after: Mapping[str, int] | None
    mark: str = field(default_factory=lambda: uuid4().hex)

    def once(
        self,
        delta_table: DeltaTable | None,
        uri: str,
        storage_options: Mapping[str, str],
        store: Callable[[], FileSystem],
        known: Mapping[str, int] | None = None,
    ) -> int:
        """Commit on what ``delta_table`` shows, and return the version that holds the rows.

        A commit may have happened though it seems to have failed: an answer was lost, or a repeated request met what
        the first had written. Then the log has it, and it counts as what it is.
        """
        from deltalake.exceptions import DeltaError

        if self._is_done(delta_table, known):
            return int(delta_table.version()) if delta_table is not None else 0
        base = int(delta_table.version()) if delta_table is not None else -1
        try:
            self._commit(delta_table, uri, storage_options)
        except (DeltaError, OSError) as error:
            happened = version_of(store, self.mark.encode(), base + 1) if "://" in uri else None
            if happened is None:
                raise
            _log.warning("%s: the commit of version %d seemed to fail: %s", self.table, happened, one_line(error))
            return happened
        return int(delta_table.version()) if delta_table is not None else 0

    def _commit(self, delta_table: DeltaTable | None, uri: str, storage_options: Mapping[str, str]) -> None:
        """Write rows and transactions.

        ``known`` are the transactions that it shows; None where they are to be looked up one by one.

        The very object that was looked at is written to, so that delta-rs holds what was committed in between
        against these transactions. It cannot for a table's first commit, nor for rows without a transaction, which on
        an object store would be written a second time beside themselves: those it may not repeat by itself.
        """
        from deltalake import CommitProperties, Transaction, write_deltalake

        may_repeat = delta_table is not None and (bool(self.transactions) or "://" not in uri)
        rows = in_months(self.rows, delta_table)
        write_deltalake(
            delta_table if delta_table is not None else uri,
            rows,
            mode="append" if delta_table is not None else "error",
            schema_mode="merge",
            partition_by=None if delta_table is not None else partitions(rows),
            name=None if delta_table is not None else self.table,
            description=None if delta_table is not None else described(self.table),
            configuration=None if delta_table is not None else {**OURS, **statistics_of(rows)},
            storage_options=dict(storage_options),
            post_commithook_properties=logs_stay(),
            commit_properties=CommitProperties(
                custom_metadata={MARK: self.mark},
                max_commit_retries=None if may_repeat else 0,
                app_transactions=[Transaction(app, at) for app, at in self.transactions.items()],
            ),
        )

    def _is_done(self, found: DeltaTable | None, known: Mapping[str, int] | None) -> bool:
        if found is not None:
            refuse_other_types(self.table, found, self.rows)
        held = chosen(found, self.transactions, known) if found is not None else {}
        self._refuse_stale(held)
        done = [app for app, version in held.items() if version >= self.transactions[app]]
        if done and len(done) < len(self.transactions):  # their rows cannot be told apart, so none may be written
            raise CommitConflict(
                f"{self.table}: {len(done)} of {len(self.transactions)} transactions are committed already, "
                f"such as {done[0]!r}",
                "ask for what is committed, and append only what is not",
            )
        return bool(done)

    def _refuse_stale(self, held: Mapping[str, int]) -> None:
        if self.after is None:
            return
        for app in self.transactions:
            stands, builds_on = held.get(app), self.after.get(app)
            if stands != builds_on:
                raise CommitConflict(
                    f"{self.table}: {app!r} stands at {stands}, and the writer builds on {builds_on}",
                    "another writer has gone on from there: ask for what is committed, and begin from that",
                )


OURS = {"delta.enableExpiredLogCleanup": "false", "delta.enableChangeDataFeed": "true"}
"""A table's properties: a pinned version needs its log for ever, and what was added after a version is asked for."""

MARK = "loopline.append"
"""Under which a commit bears the mark of who made it."""
_log = logging.getLogger(__name__)


def logs_stay() -> PostCommitHookProperties:
    """Leave old log entries to ``tidy``: delta-rs would delete what a pinned version needs after thirty days."""
    from deltalake import PostCommitHookProperties

    return PostCommitHookProperties(create_checkpoint=True, cleanup_expired_logs=False)


def insist(what: str, attempts: int, commit: Callable[[], Any]) -> Any:
    """Try a commit until it wins.

    Raises:
        CommitConflict: another writer won each time. StoreUnavailable: the store failed.
    """
    from deltalake.exceptions import DeltaError

    for attempt in range(attempts):
        try:
            return commit()
        except (DeltaError, OSError) as error:
            if not lost_a_race(error):
                fix = "look at space and permissions of the lake, and whether its store answers"
                raise unavailable(what, error, fix) from error
        time.sleep(random.uniform(0.5, 1) * min(1.0, 0.02 * 2**attempt))  # noqa: S311 - spreads writers, no secret
    raise CommitConflict(f"{what}: {attempts} commits lost to other writers", "try again in a while")


def lost_a_race(error: Exception) -> bool:
    """Tell a commit that another writer beat from a store that failed."""
    from deltalake.exceptions import CommitFailedError

    if is_for_somebody(error):
        return False
    words = ("already exists", "concurrent", "conflict", "commit failed")
    found = any(word in str(error).lower() for word in words)
    return isinstance(error, CommitFailedError) or found or was_trimmed(error)


def was_trimmed(error: Exception) -> bool:
    """Tell that an entry of the log went between listing it and reading it."""
    return "not found" in str(error).lower() and "_delta_log" in str(error)
