"""Everything on one machine: processes started in order, watched, and ended in order."""
