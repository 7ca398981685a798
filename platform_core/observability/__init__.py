"""Observability: what the platform reports to other tools: traces, metrics, lineage and logs."""
