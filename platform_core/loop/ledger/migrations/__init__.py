"""Schema migrations of the ledger's database (Alembic)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Column, Connection, Engine, MetaData, String, Table, inspect, select, text

from loopline.platform_core.audit.tables import metadata as record
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.identity.tables import metadata as sign_in
from loopline.platform_core.loop.ledger.tables import metadata

if TYPE_CHECKING:
    from alembic.config import Config

HEAD = "ledger_2"
"""The newest schema; a test holds it to the migrations."""
version_table = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))
_LOCK = 7_104_620
"""PostgreSQL's advisory lock for migrations; any number that no other program takes."""


def upgrade(engine: Engine, writer: Engine) -> None:
    """Bring a database to the newest schema in one transaction of ``writer``; who comes second finds that.

    An empty one gets the tables as they are now: to go through all migrations would end the same, and take longer.
    """
    with engine.connect() as connection:
        if revision(connection) == HEAD:
            return
    with writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        found = revision(connection)
        if found is None:
            for tables in (metadata, record, sign_in, version_table.metadata):
                tables.create_all(connection, checkfirst=False)
            connection.execute(version_table.insert().values(version_num=HEAD))
        elif found != HEAD:
            _migrate(connection)


def revision(connection: Connection) -> str | None:
    """Return the schema's revision; None for a database that holds no ledger."""
    if not inspect(connection).has_table(version_table.name):
        return None
    return connection.scalar(select(version_table.c.version_num))


def configuration() -> Config:
    """Return Alembic's settings; the scripts lie beside this file, wherever the package is installed."""
    from alembic.config import Config  # it costs time, and is needed by few

    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings


def _migrate(connection: Connection) -> None:
    from alembic import command
    from alembic.util import CommandError

    logging.getLogger("alembic").setLevel(logging.WARNING)
    settings = configuration()
    settings.attributes["connection"] = connection
    try:
        command.upgrade(settings, "head")
    except CommandError as error:
        raise InvalidEnvironment(
            f"the ledger's schema is not one of this release's: {error}",
            "install the release that wrote the ledger, or a newer one",
        ) from error
