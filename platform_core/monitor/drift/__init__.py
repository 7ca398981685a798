"""Drift: windows of what an endpoint was asked, measured and judged against the profile kept with the model version."""
