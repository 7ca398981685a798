"""One environment's lake, taken pages, registry, ledger and online rows come to another one, and are compared there."""
