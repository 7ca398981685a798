"""Stream ingestion: records land in micro-batches, exactly once."""
