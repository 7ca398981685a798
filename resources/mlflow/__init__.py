"""Vendors on MLflow."""
