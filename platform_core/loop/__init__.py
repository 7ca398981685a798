"""Cycles, gates, rollouts and the ledger: pure state machines over a small database."""
