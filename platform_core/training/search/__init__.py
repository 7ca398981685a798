"""Hyperparameter search: trials, budget, journal, leaderboard, ensemble."""
