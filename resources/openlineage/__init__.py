"""Lineage for every tool that speaks OpenLineage."""
