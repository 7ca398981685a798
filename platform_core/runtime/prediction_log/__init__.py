"""Prediction log: written before the answer, read from a cursor, trimmed once every reader is past it."""
