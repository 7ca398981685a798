"""Redis Cluster: online store."""
