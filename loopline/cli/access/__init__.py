"""Commands on access: sign-in, keys, roles, policies, persons, tenants, quotas, audit, signing."""
