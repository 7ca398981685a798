"""Google Cloud Bigtable: online store."""
