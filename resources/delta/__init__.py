"""Delta Lake by delta-rs, on a disk or an object store: lake."""
