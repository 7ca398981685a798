"""The ledger and its database: tables, migrations, the append-only record and its proof."""
