"""Drift pages drawn by Evidently."""
