"""Delta Lake through delta-rs, on a disk or an object store."""
