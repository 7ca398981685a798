"""OpenLineage: lineage backend."""
