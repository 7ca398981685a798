"""How the platform becomes Dagster: a factory a domain."""
