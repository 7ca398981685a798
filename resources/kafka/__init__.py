"""Apache Kafka, and services that speak its protocol: event stream, log store, tenants."""
