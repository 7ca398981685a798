"""Feature store: registry, materialization and computation of feature views."""
