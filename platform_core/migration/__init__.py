"""One environment's lake, registry, ledger and online rows are brought to another one, and compared there."""
