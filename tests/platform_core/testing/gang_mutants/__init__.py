"""Processes that lead gangs, each with one fault."""
