"""Migration of one environment to another: lake, stored pages, registry, ledger and online rows, each compared."""
