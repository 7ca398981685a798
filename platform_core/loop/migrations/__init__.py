"""The ledger's schema, step by step; run by ``Ledger.open`` without a configuration file."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, text

from loopline.platform_core.errors import InvalidEnvironment

_LOCK = 7_104_620
"""PostgreSQL's advisory lock for migrations; any number that no other program takes."""


def upgrade(writer: Engine, newest: Callable[[Connection], bool]) -> None:
    """Bring a database to the newest schema in one transaction; a process that comes second finds it ``newest``."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with writer.begin() as connection:
        if connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
        if newest(connection):
            return
        settings = configuration()
        settings.attributes["connection"] = connection
        try:
            command.upgrade(settings, "head")
        except CommandError as error:
            raise InvalidEnvironment(
                f"the ledger's schema is not one of this release's: {error}",
                "install the release that wrote the ledger, or a newer one",
            ) from error


def configuration() -> Config:
    """Return Alembic's settings; the scripts lie beside this file, wherever the package is installed."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.set_main_option("path_separator", "os")
    return settings
