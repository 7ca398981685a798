"""DuckDB: tables in memory and beyond it, on one machine."""
