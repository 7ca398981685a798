"""Spark: tables spread over machines."""
