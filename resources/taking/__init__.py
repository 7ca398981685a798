"""Incremental pull: shared code of event sources that ask for rows and store them as pages."""
