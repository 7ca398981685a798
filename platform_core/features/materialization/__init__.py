"""Materialization: views become offline tables and online rows, incrementally, audited."""
