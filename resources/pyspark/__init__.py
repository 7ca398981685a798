"""Apache Spark: engine."""
