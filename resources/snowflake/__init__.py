"""Snowflake: event source."""
