"""Retraining cycles: opened, held by data quality, judged at gates."""
