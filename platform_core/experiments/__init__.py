"""Experiments (A/B tests) of two versions: sample size, sequential analysis, verdict."""
