"""Rollouts: evidence of a step, the decision on it, promotion, rollback, experiments."""
