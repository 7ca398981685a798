"""What is used of Dagster that is not its public API, and nothing else."""
