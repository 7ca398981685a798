"""Loopline beside bare Dagster, on the same machine, in the same environment, taken in turns."""
