"""Redis: online store, tenants."""
