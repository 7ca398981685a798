"""Data contracts of sources: ODCS files, compatibility of changes, personal columns, data residency."""
