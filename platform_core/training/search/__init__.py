"""Search over parameters and estimators: trials, budget, journal, leaderboard, ensemble."""
