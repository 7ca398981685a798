"""Collector: receives the events of KServe's request logger, and writes them into the prediction log."""
