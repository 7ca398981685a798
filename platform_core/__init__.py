"""The platform core: declarations, contracts, the loop and the inference server; imports no Dagster and no vendor."""
