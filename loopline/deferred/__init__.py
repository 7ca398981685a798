"""Deferred (asynchronous) requests: accepted now, answered later, with callbacks."""
