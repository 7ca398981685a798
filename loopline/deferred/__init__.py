"""Requests that are put off: taken now, answered later, their callers called back."""
