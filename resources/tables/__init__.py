"""Shared code of event sources on databases: incremental pull of tables and queries by a watermark column."""
