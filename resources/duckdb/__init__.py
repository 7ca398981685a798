"""DuckDB: engine."""
