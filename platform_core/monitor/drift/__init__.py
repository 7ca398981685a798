"""Drift monitoring: windows of an endpoint's traffic against the training profile of the live version."""
