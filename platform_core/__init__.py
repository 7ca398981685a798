"""What the platform is: declarations, contracts, the loop and the inference server; no Dagster, no vendor."""
