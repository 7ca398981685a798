"""Rows that are asked for: what sources of rows have in common, whoever gives them."""
