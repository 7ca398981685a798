"""Watchdog: checks Dagster, the ledger and endpoints, raises alarms, and notifies people.

A process of its own, so that it still runs when what it watches does not.
"""
