"""The retraining loop: cycles, gates, rollouts, deployments and the ledger, as state machines over a database."""
