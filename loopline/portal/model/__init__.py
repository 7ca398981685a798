"""Sections of a model's page, one file each, as plain dataclasses."""
