"""The scorecard over a long ledger."""
