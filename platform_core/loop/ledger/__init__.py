"""The ledger: an append-only record in SQLite or PostgreSQL, with its tables and migrations."""
