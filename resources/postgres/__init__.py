"""PostgreSQL: lake, event source, tenants."""
