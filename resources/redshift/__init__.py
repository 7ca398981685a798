"""Amazon Redshift, by its PostgreSQL protocol."""
