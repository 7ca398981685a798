"""SQLite, one file on this machine: online store."""
