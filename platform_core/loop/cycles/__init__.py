"""Cycles of retraining: opened, held by their data, judged at their gates."""
