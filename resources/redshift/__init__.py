"""Amazon Redshift: event source."""
