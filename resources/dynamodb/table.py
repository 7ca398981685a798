"""DynamoDB table of the online store: created where allowed, else looked up by name."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, NotFound, StoreUnavailable
from loopline.resources.aws.failure import code, translated_errors

TTL_ATTRIBUTE = "x"
MADE_WITHIN_SECONDS = 60
_LOOK_SECONDS = 0.5
_KEYS = {"v": "HASH", "k": "RANGE"}


@dataclass(frozen=True)
class Table:
    """A table, and whether it is ours to make."""

    client: Any
    name: str
    create: bool

    def ensure(self) -> None:
        """Make the table if there is none, with on-demand billing, and let the service delete what is gone.

        Raises:
            InvalidEnvironment: this identity may not. StoreUnavailable: it does not become ready.
        """
        with translated_errors(f"making DynamoDB's table {self.name!r}"):
            if self._status() is None:
                self._make()
            end = time.monotonic() + MADE_WITHIN_SECONDS
            while self._status() not in ("ACTIVE", "UPDATING"):
                if time.monotonic() > end:
                    problem = f"DynamoDB's table {self.name!r} is not ready after {MADE_WITHIN_SECONDS} s"
                    raise StoreUnavailable(problem, "see its state in the console", delay_seconds=MADE_WITHIN_SECONDS)
                time.sleep(_LOOK_SECONDS)
            self._let_rows_go()

    def delete(self) -> None:
        """Delete the table and its rows, if it is there.

        Raises:
            InvalidEnvironment: this identity may not. StoreUnavailable: it does not go.
        """
        with translated_errors(f"deleting DynamoDB's table {self.name!r}"):
            end = time.monotonic() + MADE_WITHIN_SECONDS
            while (status := self._status()) is not None:
                if status == "ACTIVE":
                    self.client.delete_table(TableName=self.name)
                if time.monotonic() > end:
                    problem = f"DynamoDB's table {self.name!r} is not gone after {MADE_WITHIN_SECONDS} s"
                    raise StoreUnavailable(problem, "see its state in the console, and delete it there")
                time.sleep(_LOOK_SECONDS)

    def told(self, error: LooplineError) -> LooplineError:
        """Return the error, or what to create if it is that there is no table."""
        if not isinstance(error, NotFound):
            return error
        fix = (
            "create it there with partition key 'v' (S), sort key 'k' (S), on-demand billing and time to live on "
            f"{TTL_ATTRIBUTE!r}, or set 'create: true'"
        )
        where = f"{self.name!r} in {self.client.meta.region_name}"
        return InvalidEnvironment(f"DynamoDB has no table {where} ({error.problem})", fix)

    def _status(self) -> str | None:
        try:
            return str(self.client.describe_table(TableName=self.name)["Table"]["TableStatus"])
        except self.client.exceptions.ResourceNotFoundException:
            return None

    def _make(self) -> None:
        try:
            self.client.create_table(
                TableName=self.name,
                AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in _KEYS],
                KeySchema=[{"AttributeName": name, "KeyType": kind} for name, kind in _KEYS.items()],
                BillingMode="PAY_PER_REQUEST",
            )
        except self.client.exceptions.ResourceInUseException:
            return  # another process was faster

    def _let_rows_go(self) -> None:
        """Turn time to live on; another process may do so at the same time."""
        described = self.client.describe_time_to_live(TableName=self.name)["TimeToLiveDescription"]
        if described["TimeToLiveStatus"] in ("ENABLED", "ENABLING"):
            return
        wanted = {"Enabled": True, "AttributeName": TTL_ATTRIBUTE}
        try:
            self.client.update_time_to_live(TableName=self.name, TimeToLiveSpecification=wanted)
        except self.client.exceptions.ClientError as error:
            if code(error) not in ("ValidationException", "ResourceInUseException"):
                raise
