"""Shared utilities: names, clock, atomic files, YAML with line numbers, tracing, logs."""
