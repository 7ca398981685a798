"""What the platform tells other tools of itself: traces, metrics, lineage and logs."""
