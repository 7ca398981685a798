"""Google BigQuery: event source."""
