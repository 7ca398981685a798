"""Rollouts: evidence of a canary step, the decision on it, promotion, rollback, experiments."""
