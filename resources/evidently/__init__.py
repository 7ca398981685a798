"""Evidently: drift reports."""
