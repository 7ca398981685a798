"""Subprocesses of this machine: compute."""
