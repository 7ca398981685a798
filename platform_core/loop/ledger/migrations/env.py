"""Alembic environment: migrates on the connection that ``migrations.upgrade`` holds, in its transaction."""

from __future__ import annotations

from alembic import context

from loopline.platform_core.loop.ledger.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
