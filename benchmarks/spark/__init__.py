"""Feature views and batches on a Spark cluster, as tables grow."""
