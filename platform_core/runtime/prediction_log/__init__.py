"""The prediction log: written before the answer, read on from a cursor, kept for as long as anybody reads it."""
