"""Private Dagster APIs that we use, kept in this package only."""
