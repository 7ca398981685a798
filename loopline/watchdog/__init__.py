"""The watchdog: asks Dagster, the ledger and the endpoints for what nobody else says, raises alarms, and tells people.

A process of its own, so that it still runs when what it watches does not.
"""
