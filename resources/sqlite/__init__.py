"""SQLite: one file on this machine, no server."""
