"""Materialization: computes views incrementally into offline tables and the online store; audited."""
