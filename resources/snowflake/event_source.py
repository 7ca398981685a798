"""Event source on Snowflake: incremental pull of tables and queries by a watermark column."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any, Literal, Self

from pydantic import Field, SecretStr

from loopline.resources.snowflake.account import Account
from loopline.resources.snowflake.session import SnowflakeSession
from loopline.resources.tables.event_source import TableEventSource


class SnowflakeEventSource(TableEventSource):
    """Tables (``SCHEMA.NAME``, as Snowflake spells them) and queries of a ``database`` of an ``account``.

    All else is as with ``postgres``. Who asks is shown by a ``password``, a ``private_key`` in PEM, or the
    ``workload_identity`` that the machine has (``AWS``, ``AZURE``, ``GCP`` or ``OIDC``). The role needs SELECT and
    nothing else. A look that finds rows or not starts the ``warehouse``, which is paid for a minute at least; therefore
    one process looks each ``look_seconds`` at most. ``endpoint`` is an address other than the account's own.
    """

    extras = ("snowflake",)
    account: str = Field(min_length=1)
    user: str = ""
    database: str = Field(min_length=1)
    warehouse: str = ""
    role: str = ""
    password: SecretStr = SecretStr("")
    private_key: SecretStr = SecretStr("")
    workload_identity: Literal["", "AWS", "AZURE", "GCP", "OIDC"] = ""
    endpoint: str = ""
    statement_seconds: float = Field(45.0, ge=1)
    look_seconds: float = Field(900.0, ge=0)

    def session(self) -> AbstractContextManager[SnowflakeSession]:
        """Log in."""
        return SnowflakeSession.opened(self._account)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:
        """Give a schema of its own, which the role must be allowed to create, and pages of its own."""
        from loopline.resources.snowflake.delivery import schema

        with schema(self._account, name), self.kept_apart(name, name) as place:
            yield place

    def kit_fixtures(self) -> Mapping[str, Any]:
        """Insert into tables of that schema."""
        from loopline.resources.snowflake.delivery import SnowflakeDelivery

        return {"deliver": SnowflakeDelivery(self._account, self.kit_place)}

    @property
    def _account(self) -> Account:
        return Account(
            account=self.account,
            user=self.user,
            database=self.database,
            warehouse=self.warehouse,
            role=self.role,
            password=self.password.get_secret_value(),
            private_key=self.private_key.get_secret_value(),
            workload_identity=self.workload_identity,
            endpoint=self.endpoint,
            statement_seconds=self.statement_seconds,
        )
