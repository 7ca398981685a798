"""Rows of tables and queries by a watermark column: what all databases that are asked for rows share."""
