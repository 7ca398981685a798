"""Commands on the loop: cycles, gates, rollouts, rollback, freezes, experiments, history."""
