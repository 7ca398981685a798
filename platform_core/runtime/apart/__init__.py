"""Models in processes of their own: one a loaded version, rows by memory that both share."""
