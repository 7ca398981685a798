"""Drift beside Evidently: the same verdicts, faster; and how often quiet windows alarm."""
