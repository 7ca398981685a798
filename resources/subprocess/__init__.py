"""Vendors that start a process of their own."""
